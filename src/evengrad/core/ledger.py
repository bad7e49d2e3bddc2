"""The gradient ledger: who ate (or fed) the gradient between the last and the first layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from evengrad.core.info import SourceLine


class EntryKind(Enum):
    """What an operation is, for the purpose of naming a cause."""

    WEIGHT = "weight"  # multiplication by parameters: linear, convolution, embedding
    RECURRENT = "recurrent"  # a fused recurrent kernel
    ACTIVATION = "activation"  # element-wise non-linearity
    NORMALISATION = "normalisation"
    ATTENTION = "attention"  # softmax and products of activations
    MERGE = "merge"  # several consumers of one tensor: their gradients add
    SHAPE = "shape"  # view, reshape, pooling, concatenation, indexing, dropout, plain arithmetic
    LOSS = "loss"
    OTHER = "other"


@dataclass(frozen=True)
class LedgerEntry:
    """One operation (all its uses on the path), as log10 of gradient size out over gradient size in, in decades.

    Sizes are L2 norms over the whole batch. ``scale`` is the part an isotropic gradient would see, log10 of
    |W|_F/sqrt(n_out) for weights or of rms f' for activations; ``decades - scale`` is alignment (weights) or targeting.
    ``None`` where no such split exists.
    """

    module: str
    operation: str
    kind: EntryKind
    decades: float
    scale: float | None = None
    uses: int = 1
    source: SourceLine | None = None


@dataclass(frozen=True)
class Branch:
    """A merge: the signed shares of the consumers of one tensor in its gradient; they sum to 1."""

    module: str
    consumers: tuple[str, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Ledger:
    """The ledger of one probe step, along the dominant path from the last layer down to the first.

    ``entries`` run backwards, from the output of ``last`` to the output of ``first``. ``attenuation`` is measured end
    to end, ``log10(|dL/dh_first| / |dL/dh_last|)``; the entries' sum equals it. ``attenuation`` is ``-inf`` when the
    gradient is exactly zero at ``first``, and ``nan`` when a norm on the path is not finite.
    ``loss_norm`` is |dL/dh_last| (L2, unscaled) and ``rms_correction`` what to add to ``attenuation`` for RMS
    sizes in place of L2 norms. ``steps_in_time`` counts the uses of the most reused weight on the path (1: no
    recurrence).
    """

    step: int
    first: str
    last: str
    attenuation: float
    entries: tuple[LedgerEntry, ...]
    branches: tuple[Branch, ...] = ()
    loss_norm: float = math.nan
    rms_correction: float = 0.0
    layers: int = 0  # weight layers on the path
    steps_in_time: int = 1
    optimizer: int = -1  # whose step followed

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    @property
    def total(self) -> float:
        """Sum of the entries, in decades."""
        return math.fsum(entry.decades for entry in self.entries)

    def by_kind(self) -> dict[EntryKind, float]:
        """Return the sum of the entries of each kind, in decades."""
        sums: dict[EntryKind, float] = {}
        for entry in self.entries:
            sums[entry.kind] = sums.get(entry.kind, 0.0) + entry.decades
        return sums

    def by_module(self) -> dict[str, float]:
        """Return the sum of the entries of each module, in decades, in path order."""
        sums: dict[str, float] = {}
        for entry in self.entries:
            sums[entry.module] = sums.get(entry.module, 0.0) + entry.decades
        return sums


@dataclass(frozen=True)
class TimeProfile:
    """Gradient by time step inside a recurrent layer, at one probe step.

    ``norms[t]`` is the L2 norm over batch and features of the gradient that reaches time step ``t`` (0 is the
    earliest). ``axis`` names what was measured: ``"hidden"`` (state) or ``"input"`` (a fused kernel shows only its
    input).
    """

    step: int
    module: str
    axis: str
    norms: tuple[float, ...]
    source: SourceLine | None = None
