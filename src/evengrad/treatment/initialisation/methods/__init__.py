"""Ways to draw initial weights, one per file; the file name is the method's name."""
