"""Activations most of whose units pass no gradient on any sample."""

from __future__ import annotations

from collections.abc import Iterable

from evengrad.core.info import SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._late import late
from evengrad.rules._neighbours import feeding_layer, is_output

ENOUGH_SAMPLES = 1000.0  # theory page, criteria: a unit two standard deviations below zero fires once in 44 samples
ENOUGH_PROBES = 3  # theory page, criteria: 3 windows
ALL = 0.99  # of a layer: no chance leaves so many units silent on two batches
WHOLLY = 0.9  # theory page, criteria: severe above .9


def dead_share(trace: Trace, site: SiteInfo, bound: float) -> float | None:
    """Return the share of units that stay dead late in the run, if it is above a bound and can be believed.

    It is believed over 1000 samples (and positions) at one probe, over three probes in a row, or where the whole layer
    is dead at two.
    """
    seen = trace.get(Statistic.DEAD, site.name).finite
    later = late(seen)
    if len(later) == 0 or float(later.values.min()) <= bound:
        return None
    counts = trace.get(Statistic.DEAD_SAMPLES, site.name).finite.values
    many = len(counts) > 0 and float(counts.max()) >= ENOUGH_SAMPLES
    recent = seen.values[-ENOUGH_PROBES:]
    often = len(recent) >= ENOUGH_PROBES and float(recent.min()) > bound
    whole = len(recent) >= 2 and float(recent[-2:].min()) > ALL
    return float(later.values.min()) if many or often or whole else None


def dead_sites(trace: Trace, bound: float = WHOLLY) -> dict[SiteInfo, float]:
    """Return the hidden activations whose share of dead units is above a bound, in forward order, with the share.

    Rectifiers behind weights that are zero are left out: the derivative at 0 is 0, and that is the weights' fault.
    """
    found = {
        site: share
        for site in trace.activations
        if (share := dead_share(trace, site, bound)) is not None and not is_output(trace, site)
    }
    return {site: share for site, share in found.items() if not _behind_zero(trace, site)}


def zero_weights(trace: Trace, layers: Iterable[SiteInfo]) -> bool:
    """Return whether all weight tensors of some layers are exactly zero at the end."""
    names = [name for layer in layers for name in layer.parameters]
    matrices = [name for name in names if (info := trace.parameter(name)) is not None and len(info.shape) >= 2]
    return bool(matrices) and all(trace.get(Statistic.WEIGHT_RMS, name).last() == 0.0 for name in matrices)


def _behind_zero(trace: Trace, site: SiteInfo) -> bool:
    layer = feeding_layer(trace, site)
    return layer is not None and zero_weights(trace, (layer,))
