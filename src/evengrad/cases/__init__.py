"""Small training problems with a known fault, and healthy ones that look alarming; seconds on one core.

A case is an ordinary training loop in plain PyTorch that knows nothing of evengrad. A sick case comes with a healthy
twin: the same program with the one fault taken out.
"""
