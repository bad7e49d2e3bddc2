"""Which of a layer's parameters is its weight."""

from __future__ import annotations

from evengrad.core.trace import Trace


def weights(trace: Trace) -> dict[str, str]:
    """Return each layer's weight by the layer's name, in forward order; layers without parameters are left out.

    Autograd lists a bias before the weight, a recurrent kernel has several of each: the first matrix is taken, else the
    first that is not called a bias, else the first.
    """
    dimensions = {info.name: len(info.shape) for info in trace.parameters}
    found: dict[str, str] = {}
    for layer in trace.layers:
        ranked = sorted(layer.parameters, key=lambda name: (dimensions.get(name, 0) < 2, "bias" in name))
        if ranked:
            found.setdefault(layer.name, ranked[0])
    return found
