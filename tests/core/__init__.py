"""Tests of the core values and their plain form."""
