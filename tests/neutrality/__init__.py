"""Watched and plain runs must not differ; nothing of ours may be left behind; no fault of ours may reach the run."""
