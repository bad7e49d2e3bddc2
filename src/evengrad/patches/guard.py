"""Keep an operation off the edge of its domain.

Settings:
    operation: ``log`` (also log2, log10), ``sqrt`` (and rsqrt), ``div`` (``/``, reciprocal), ``acos``, ``asin``,
        ``atanh``, ``pow``, ``exp``, ``std``, ``norm``, or ``auto``: whichever of them the lines hold.
    eps: distance that is kept, in the unit of the argument:

        - log, log2, log10, sqrt, rsqrt, pow: ``f(x.clamp_min(eps))``; ``log(softmax(x))`` becomes ``log_softmax(x)``
          and ``log(sigmoid(x))`` ``logsigmoid(x)``, without eps.
        - div: ``a / (b + eps)``.
        - acos, asin, atanh: ``f(x.clamp(-1 + eps, 1 - eps))``.
        - std: ``(x.var(…) + eps).sqrt()``; norm: ``(x.square().sum(…) + eps).sqrt()``.
    bound: ``exp``: ``x.clamp_max(bound)``; 80 unless given, in the unit of the argument.

``lines`` are obligatory: every such operation on them is guarded.
"""
