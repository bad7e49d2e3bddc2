"""Hidden units that are copies of each other."""

from __future__ import annotations

import numpy as np

from evengrad.core.info import SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace

_IDENTICAL = 1e-6  # largest over median feature size less one: float32 rounding of equal sums
_FEWEST = 2  # probes at which it must be seen


def copied_layers(trace: Trace) -> tuple[tuple[SiteInfo, SiteInfo], ...]:
    """Return pairs of a layer whose units are all alike on every probe, and the next layer, which shows it.

    All features that the next layer acts on have one and the same size. Features that are signs have size 1 each and
    are left out: that is saturation.
    """
    pairs = zip(trace.layers, trace.layers[1:], strict=False)
    return tuple((maker, shower) for maker, shower in pairs if _alike(trace, shower))


def _alike(trace: Trace, site: SiteInfo) -> bool:
    spread = trace.get(Statistic.FEATURE_SPREAD, site.name).finite.values
    size = trace.get(Statistic.INPUT_RMS, site.name).finite.values
    if len(spread) < _FEWEST or len(size) == 0 or bool(np.isclose(size, 1.0, rtol=1e-2).any()):
        return False
    return bool((np.abs(spread - 1) < _IDENTICAL).all())
