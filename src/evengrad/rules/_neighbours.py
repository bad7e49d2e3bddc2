"""Which layer feeds an activation."""

from __future__ import annotations

from evengrad.core.info import SiteInfo
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.trace import Trace


def feeding_layer(trace: Trace, activation: SiteInfo) -> SiteInfo | None:
    """Return the layer whose output an activation receives (through normalisation, if any); None when unknown.

    From a ledger whose path runs through the activation; from the order of the module names' numbers otherwise.
    """
    return _on_path(trace, activation) or _by_name(trace, activation)


def _on_path(trace: Trace, activation: SiteInfo) -> SiteInfo | None:
    for ledger in reversed(trace.ledgers):
        met = False
        for entry in ledger.entries:
            if entry.kind is EntryKind.ACTIVATION and entry.module == activation.module and entry.uses == 1:
                met = entry.operation == activation.operation
            elif met and entry.kind is EntryKind.WEIGHT:
                return _layer(trace, entry.module)
        if met:
            return _layer(trace, ledger.first)
    return None


def _layer(trace: Trace, module: str) -> SiteInfo | None:
    return next((site for site in trace.layers if module in (site.name, site.module)), None)


def _by_name(trace: Trace, activation: SiteInfo) -> SiteInfo | None:
    """Return the nearest earlier layer in the same container, ``net.2`` for ``net.3``."""
    container, _, number = activation.module.rpartition(".")
    if not number.isdigit():
        return _layer(trace, activation.module) if activation.module else None
    earlier = [
        (int(index), site)
        for site in trace.layers
        for parent, _, index in [site.module.rpartition(".")]
        if parent == container and index.isdigit() and int(index) < int(number)
    ]
    return max(earlier, key=lambda item: item[0])[1] if earlier else None


def is_output(trace: Trace, activation: SiteInfo) -> bool:
    """Return whether an activation is the network's output: the last one, behind the last layer.

    Either the last layer feeds it, or a path runs through fewer activations of its kind than there are (a path begins
    at the last layer's output, so that what lies behind it is not on the path; it may also pass layers by, on a skip
    connection, so that only a path through all layers says so, or a kind that occurs once beside the last layer).
    """
    if not trace.layers or not trace.activations or activation != trace.activations[-1]:
        return False
    if _by_name(trace, activation) == trace.layers[-1]:
        return True
    kin = [
        site for site in trace.activations if (site.module, site.operation) == (activation.module, activation.operation)
    ]
    bounded = activation.operation in ("Sigmoid", "Tanh", "Hardsigmoid")
    beside = trace.layers[-1].module.rpartition(".")[0] == activation.module
    alone = bounded and beside and sum(site.uses for site in kin) == 1
    return any(
        (ledger.layers == len(trace.layers) or alone) and _uses(ledger, activation) < sum(site.uses for site in kin)
        for ledger in trace.ledgers
    )


def _uses(ledger: Ledger, activation: SiteInfo) -> int:
    """Return how often an activation's operation is used in its module on a path."""
    same = (e for e in ledger.entries if (e.module, e.operation) == (activation.module, activation.operation))
    return sum(entry.uses for entry in same)
