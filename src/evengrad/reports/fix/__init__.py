"""The report on a fix: what was tried, what is recommended, and what proves it."""
