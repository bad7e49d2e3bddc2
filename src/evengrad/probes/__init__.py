"""The catalogue of probes: one file per measured thing. A probe reads live tensors and returns numbers."""
