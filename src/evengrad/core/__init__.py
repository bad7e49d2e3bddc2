"""Immutable values that every other layer exchanges. Imports neither torch nor anything above it."""
