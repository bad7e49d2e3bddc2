"""What can be done to a live model and its optimizer, one act per file; the file name is the act's."""
