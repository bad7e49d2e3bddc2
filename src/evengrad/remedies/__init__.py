"""What may repair a fault, under which measured cause, with which numbers: one file per remedy."""
