"""Bound the gradient between backward and step.

Settings:
    kind: ``norm`` (``nn.utils.clip_grad_norm_``), ``value`` (``nn.utils.clip_grad_value_``) or ``adaptive``.
    threshold: ``norm``: largest l2 norm over the parameters of the optimizer, in loss/W, unscaled; ``value``: largest
        entry, in loss/W; ``adaptive``: largest ratio of a unit's gradient norm to its weight norm (the latter at least
        1e-3), "1"; the last layer, and vectors, are left out of ``adaptive`` clipping.

``lines``: of the optimizers (where they are made) or of the steps that are meant; none: every optimizer of the tree, each
for its own parameters. A clip that is there already is given the new threshold; one of another kind is replaced. With a
``GradScaler`` the clip follows ``scaler.unscale_(optimizer)``, which is added if missing; with accumulated gradients it
stands beside the step, not beside backward.
"""
