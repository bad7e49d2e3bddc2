"""Reads a live training run: what is trained, the autograd graph on probe steps, norms on light ones."""
