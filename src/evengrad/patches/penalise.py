"""Add an L2 penalty to the loss.

Settings:
    coefficient: of ``coefficient / 2 * sum of squares``, in loss/W^2; the gradient of a weight gets ``coefficient *
        W``.

The sum runs over the parameters of the model that the optimizer was given. ``lines``: of the optimizer; none: the only
one. Written right before ``backward``; with accumulated gradients the coefficient is the user's to divide: it is
refused.
"""
