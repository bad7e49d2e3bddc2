"""The test suite: mirrors ``src/evengrad``."""
