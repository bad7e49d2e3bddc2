"""Results of papers, measured again: one paper a file, each with ``measure() -> list[Figure]``."""
