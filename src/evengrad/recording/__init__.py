"""The run folder: what a watched run leaves on disk, readable however the run ended."""
