"""Who ate (or fed) the gradient: the ledger's entries, held against what each could be at best."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evengrad.core.finding import CauseKind
from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry

# log10 of g_bwd = 1/sqrt(E phi'(z)^2), z ~ N(0, 1): the weight scale that keeps the gradient, for activations that some
# weight scale makes critical. Sigmoid, Hardsigmoid, Softplus and LogSigmoid are missing on purpose: no useful weight
# scale makes them critical (theory page, "which activations can be critical"), so all they take is their own fault.
_CRITICAL_SCALE = {
    "relu": 0.1505, "threshold": 0.1505, "leakyrelu": 0.1505, "prelu": 0.1505, "prelukernel": 0.1505,
    "rreluwithnoise": 0.1505, "clampmin": 0.1505, "elu": 0.0876, "selu": -0.0150, "celu": 0.0876, "gelu": 0.1706,
    "silu": 0.2104, "mish": 0.1598, "hardswish": 0.2227, "tanh": 0.1666, "hardtanh": 0.0829, "erf": 0.1223,
    "sin": 0.1230, "softshrink": 0.1048,
}  # fmt: skip
_LEAKY = frozenset({"leakyrelu", "prelu", "prelukernel", "rreluwithnoise"})
_SHARP_ZERO = frozenset({"relu", "threshold", "clampmin"})  # a unit can pass exactly nothing

_NEAR_CRITICAL = 0.05  # decades per layer: weights within 12 % of the scale that keeps the gradient are not at fault
_MOSTLY_DEAD = -0.5  # decades: rms derivative .32, nine of ten rectified units inactive


@dataclass(frozen=True)
class Blame:
    """The cause that the ledger shows; ``share`` of all that pushes the gradient the same way.

    ``operation`` is the activation that dominates, where one does; ``entry`` the single worst entry of the guilty kind.
    """

    kind: CauseKind
    share: float
    part: float
    operation: str
    entry: LedgerEntry | None
    activations: float
    weights: float
    rest: float


def blame(ledger: Ledger) -> Blame:
    """Return the cause of a ledger's attenuation (its sign says which way).

    Each activation is held against the derivative it would have at its critical point, and the weights against the
    scale that would balance that; what normalisation layers do is booked with the weights, whose scale they cancel.
    """
    if ledger.attenuation == -math.inf:
        return _blocked(_barrier(ledger), any(_is_cast(entry) for entry in ledger.entries))
    sign = 1.0 if ledger.attenuation > 0 else -1.0
    active = [entry for entry in ledger.entries if entry.kind is EntryKind.ACTIVATION]
    weighty = [entry for entry in ledger.entries if entry.kind in (EntryKind.WEIGHT, EntryKind.NORMALISATION)]
    recurrent = [entry for entry in ledger.entries if entry.kind is EntryKind.RECURRENT]
    named = (EntryKind.ACTIVATION, EntryKind.WEIGHT, EntryKind.NORMALISATION, EntryKind.RECURRENT)
    others = [entry for entry in ledger.entries if entry.kind not in named]
    reference = math.fsum(entry.uses * _critical(entry) for entry in active)
    taken = math.fsum(entry.decades for entry in active)
    weights = math.fsum(entry.decades for entry in weighty)
    parts = {
        CauseKind.ACTIVATION_DERIVATIVE: taken + reference,
        CauseKind.WEIGHT_SCALE_SMALL if sign < 0 else CauseKind.WEIGHT_SCALE_LARGE: weights - reference,
        CauseKind.RECURRENT_JACOBIAN: math.fsum(entry.decades for entry in recurrent),
        CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM: math.fsum(entry.decades for entry in others),
    }
    kind = max(parts, key=lambda cause: sign * parts[cause])
    share = parts[kind] / math.fsum(part for part in parts.values() if part * sign > 0) if parts[kind] else 0.0
    part = parts[kind]
    kind, guilty = _refine(kind, part, active, weighty, others)
    worst = max(guilty, key=lambda entry: sign * entry.decades, default=None)
    rest = ledger.attenuation - taken - weights
    return Blame(kind, min(1.0, share), part, _dominant(active), worst, taken, weights, rest)


def _refine(
    kind: CauseKind,
    part: float,
    active: list[LedgerEntry],
    weighty: list[LedgerEntry],
    others: list[LedgerEntry],
) -> tuple[CauseKind, list[LedgerEntry]]:
    """Return the cause proper and the entries that carry it."""
    if kind is CauseKind.ACTIVATION_DERIVATIVE:
        worst = min(active, key=lambda entry: entry.decades / entry.uses)
        dead = _name(worst) in _SHARP_ZERO and worst.decades / worst.uses < _MOSTLY_DEAD and part < 0
        return (CauseKind.DEAD_UNITS if dead else kind), active
    if kind in (CauseKind.WEIGHT_SCALE_SMALL, CauseKind.WEIGHT_SCALE_LARGE):
        uses = sum(entry.uses for entry in weighty if entry.kind is EntryKind.WEIGHT)
        normalised = math.fsum(entry.decades for entry in weighty if entry.kind is EntryKind.NORMALISATION)
        if abs(part) < _NEAR_CRITICAL * max(1, uses) or (part > 0 and normalised > 0.5 * part):
            return CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM, weighty
        return kind, weighty
    return kind, others


def _barrier(ledger: Ledger) -> LedgerEntry | None:
    """Return the operation that lets exactly nothing through.

    Behind it every entry is undefined (0/0). An entry that adds up several uses may hold both, and is then undefined as
    well: it is the barrier only where no single use is.
    """
    alone = next((entry for entry in ledger.entries if entry.decades == -math.inf), None)
    return alone or next((entry for entry in ledger.entries if math.isnan(entry.decades)), None)


def _blocked(entry: LedgerEntry | None, casts: bool) -> Blame:
    """Return the cause where one operation lets nothing through; ``casts``: number formats change on the path."""
    weights = entry is not None and entry.kind is EntryKind.WEIGHT
    kind = (
        CauseKind.WEIGHT_SCALE_SMALL if weights else CauseKind.PRECISION if casts else CauseKind.ACTIVATION_DERIVATIVE
    )
    operation = ""
    if entry is not None and entry.kind is EntryKind.ACTIVATION:
        operation = entry.operation
        kind = CauseKind.DEAD_UNITS if _name(entry) in _SHARP_ZERO else CauseKind.ACTIVATION_DERIVATIVE
    return Blame(kind, 1.0, -math.inf, operation, entry, math.nan, math.nan, math.nan)


def _name(entry: LedgerEntry) -> str:
    return entry.operation.lower().rstrip("_0123456789")


def _is_cast(entry: LedgerEntry) -> bool:
    """Return whether an entry converts between number formats: what underflows there is lost to precision."""
    return "copy" in _name(entry)


def _critical(entry: LedgerEntry) -> float:
    """Return the weight scale that balances one use of an activation, in decades; 0 where none can.

    A leaky rectifier loses less than a plain one, by a slope that the ledger does not hold: what it was seen to lose
    (``scale``) is its own critical point, since any weight scale keeps a rectifier's derivative.
    """
    full = _CRITICAL_SCALE.get(_name(entry), 0.0)
    if _name(entry) in _LEAKY and entry.scale is not None:
        return min(full, max(0.0, -entry.scale / entry.uses))
    return full


def _dominant(active: list[LedgerEntry]) -> str:
    """Return the operation that most activations on the path are."""
    counts: dict[str, int] = {}
    for entry in active:
        counts[entry.operation] = counts.get(entry.operation, 0) + entry.uses
    return max(counts, key=lambda operation: counts[operation], default="")
