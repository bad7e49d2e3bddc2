"""The command line. It alone prints, and to stderr only: stdout belongs to the watched script."""
