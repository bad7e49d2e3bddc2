"""Trials: the same program, on the same seeds and batches, with one thing changed; and what that proves."""
