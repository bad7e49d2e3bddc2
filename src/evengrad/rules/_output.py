"""What becomes of the last layer's output before the loss."""

from __future__ import annotations

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._late import late

_NOTHING = 1e-6  # between-sample spread: rounding of float32
_SOMETHING = 1e-6  # distinguishability at the last layer: samples differ by a thousandth of their size


def swallowed(trace: Trace) -> bool:
    """Return whether samples that differ at the last layer get one and the same prediction, on every probe.

    What lies between the last layer and the loss then answers the same whatever it is given (a softmax over one score,
    an argmax, a clamp that is always active).
    """
    spread = trace.get(Statistic.OUTPUT_SPREAD).finite.values
    if not trace.layers or len(spread) < 2 or float(spread.max()) > _NOTHING or _dies_at_last(trace):
        return False
    apart = late(trace.get(Statistic.DISTINGUISHABILITY, trace.layers[-1].name)).values
    size = late(trace.get(Statistic.INPUT_RMS, trace.layers[-1].name)).values
    return len(apart) > 0 and len(size) > 0 and float(apart.min()) > _SOMETHING and float(size.min()) > _NOTHING**0.5


def _dies_at_last(trace: Trace) -> bool:
    """Return whether the last layer itself multiplies by (nearly) nothing."""
    sizes = [trace.get(Statistic.WEIGHT_RMS, name).median() for name in trace.layers[-1].parameters[:1]]
    return any(size < _NOTHING for size in sizes)
