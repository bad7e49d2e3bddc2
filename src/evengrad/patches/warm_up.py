"""Raise the learning rate linearly over the first steps.

Settings:
    steps: of the optimizer, until the rate is whole; at step t = 0, 1, … it is ``lr * min(1, (t + 1) / steps)``.

``lines``: where the optimizers are made; none: all. Written as a ``LambdaLR`` right after the optimizer, stepped right
after ``optimizer.step()``. A ``LambdaLR`` that is stepped there already gets the ramp as a factor; another scheduler
stepped there goes into a ``SequentialLR`` behind the ramp (its own schedule then starts ``steps`` later); one
stepped once an epoch is told to the user.
"""
