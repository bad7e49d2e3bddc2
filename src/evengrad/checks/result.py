"""What a check found, as values: no tensor, no module, nothing of torch's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evengrad.core.finding import Diagnosis, Finding, Severity, Verdict
from evengrad.core.trace import Trace


@dataclass(frozen=True)
class Spread:
    """A quantity over the seeds: median, smallest and largest; nan where it was never measured."""

    median: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of the values that are not nan."""
        known = sorted(value for value in values if not math.isnan(value))
        if not known:
            return cls()
        # Of an even number the lower middle: the mean of two seeds is a net that nobody has.
        return cls(known[(len(known) - 1) // 2], known[0], known[-1])

    @property
    def width(self) -> float:
        """Largest less smallest; 0 where both are the same infinity."""
        return 0.0 if self.high == self.low else self.high - self.low


@dataclass(frozen=True)
class Setup:
    """What was checked, and what had to be made up for it; the words are English phrases in the report's own file."""

    subject: str
    parameters: int
    input: str
    input_made: bool
    target: str
    target_made: bool
    loss: str
    loss_made: bool
    optimizer: str  # "" when none was named
    seeds: int
    redrawn: bool  # each seed drew weights of its own


@dataclass(frozen=True)
class Row:
    """A layer at step 0: the signal that it acts on, and the gradient at its output.

    ``gradient`` is in decades relative to the last layer of the path; ``signal`` in decades of rms relative to the
    first hidden layer's input. ``saturated`` and ``dead`` belong to the activation that follows (nan: none).
    """

    layer: str
    depth: int
    signal_rms: Spread
    signal: Spread
    gradient: Spread
    predicted: float = math.nan
    apart: float = math.nan  # distinguishability of the samples in front of it
    activation: str = ""
    saturated: float = math.nan
    dead: float = math.nan


@dataclass(frozen=True)
class Prediction:
    """What theory expects of a plain chain, in decades from the last layer back to the first.

    ``low`` and ``high`` are the ends of the finite-width band, three standard deviations on each side of its mean.
    """

    activation: str
    layers: int
    attenuation: float
    bias: float
    deviation: float
    weight_variance: float  # geometric mean over the layers
    bias_variance: float
    decades: tuple[float, ...] = ()

    @property
    def low(self) -> float:
        """Lower end of the band."""
        return self.attenuation + self.bias - 3 * self.deviation

    @property
    def high(self) -> float:
        """Upper end of the band."""
        return self.attenuation + self.bias + 3 * self.deviation


@dataclass(frozen=True)
class Proposal:
    """An initialisation that theory expects to carry the gradient, and what it expects of it.

    ``factor`` is what the weights would have to be multiplied by (geometric mean over layers).
    """

    method: str
    factor: float
    weight_variance: float
    bias_variance: float
    expected: Prediction


@dataclass(frozen=True)
class HeadRoom:
    """How a number format would take the gradients of step 0.

    ``underflow`` is the share of non-zero entries that would round to 0 in the worst weight tensor, ``overall`` that of
    all. ``scale`` is the largest power of two by which the loss could be multiplied before a gradient overflows.
    """

    dtype: str
    underflow: float
    worst: str
    overall: float
    scale: float
    largest_signal: float
    overflows: bool


@dataclass(frozen=True)
class Attention:
    """One attention operation: how even its weights are, how large its scores, how many of its rows are one-hot.

    ``entropy`` is the mean entropy of a row over ln of the number of positions it may look at.
    """

    module: str
    entropy: float
    logits: float
    dead_rows: float
    positions: int


@dataclass(frozen=True)
class Transformer:
    """What depth does to the tokens: their mean cosine at the last normalisation, and Q/K's gradient over V's."""

    cosine: float
    query_key: float
    where: str


@dataclass(frozen=True)
class Time:
    """The gradient through time of a recurrent layer, in decades from the last step to the first, and per step."""

    module: str
    length: int
    decades: Spread

    @property
    def per_step(self) -> float:
        """Decades per time step."""
        return self.decades.median / max(1, self.length - 1)


@dataclass(frozen=True)
class Outset:
    """The first loss: ``guess`` is ln C (nan for a regression or a sum), ``output`` the rms of what enters the loss."""

    loss: Spread
    guess: float
    output: float


@dataclass(frozen=True)
class Note:
    """Something that the reader must know; ``key`` finds the sentence, ``values`` fill it."""

    key: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What a check at step 0 found.

    ``trace`` is that of the seed whose attenuation is the median; the rest is over all seeds. ``attenuation`` is A,
    log10 of the gradient at the first layer's output over that at the last one's.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    trace: Trace
    setup: Setup
    attenuation: Spread
    rows: tuple[Row, ...] = ()
    outset: Outset = Outset(Spread(), math.nan, math.nan)
    prediction: Prediction | None = None
    proposals: tuple[Proposal, ...] = ()
    head_room: tuple[HeadRoom, ...] = ()
    attention: tuple[Attention, ...] = ()
    transformer: Transformer | None = None
    times: tuple[Time, ...] = ()
    notes: tuple[Note, ...] = ()
    seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that would keep the network from training."""
        return self.verdict is Verdict.HEALTHY

    @property
    def diagnosis(self) -> Diagnosis:
        """The findings as those of a run of no steps."""
        return Diagnosis(self.verdict, self.trace, self.findings)

    def __str__(self) -> str:
        found = "; ".join(
            f"{finding.rule}: {finding.message}" for finding in self.findings if finding.severity is not Severity.INFO
        )
        return f"{self.verdict.value}: {found or 'signal and gradient pass at step 0'}"


def log10(value: float) -> float:
    """Return log10, -inf of 0, nan of what is not a size."""
    if math.isnan(value) or value < 0:
        return math.nan
    return float(np.log10(value)) if value > 0 else -math.inf
