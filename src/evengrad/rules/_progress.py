"""How far a run has got: has it learned more than a constant answer would know?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Floats, Trace
from evengrad.rules._course import step_noise
from evengrad.rules._late import late

_FEWEST = 8  # losses below which nothing is said
_OPENING, _CLOSING = 5, 50  # most losses that the first and the last level rest on
_SHARE_OPENING, _SHARE_CLOSING = 0.02, 0.1  # and the shares of the run they may take
_BULK = 0.9  # of the last losses make the last level
_SIGNIFICANT = 3.0  # standard errors by which two levels must differ
_SOLVED, _LEARNING = 0.5, 0.1  # share of the guessing loss (else of the first loss) that must have gone
_ROSE = 3.0  # the loss is this many times its first level: further than any noise or warm-up takes a sound run
_CONSTANT = 1e-3  # between-sample spread of the prediction, relative to the target's, below which it is one constant
_LEARNED_BEFORE = 0.5  # of a guess's loss: a run that begins below it continues an earlier training


class State(Enum):
    """How far a run has got."""

    UNKNOWN = "unknown"
    DIVERGING = "diverging"
    STUCK = "stuck"
    LEARNING = "learning"
    SOLVED = "solved"


@dataclass(frozen=True)
class Progress:
    """The loss at the start and at the end, and what a constant answer would cost (nan where that cannot be told).

    ``gone`` is the share of the guess's loss (of the first loss where no guess is known) that is gone at the end.
    """

    state: State = State.UNKNOWN
    first: float = math.nan
    last: float = math.nan
    guess: float = math.nan
    gone: float = math.nan
    points: int = 0

    @property
    def failing(self) -> bool:
        """Whether the run has learned nothing, or loses what it had."""
        return self.state in (State.STUCK, State.DIVERGING)


def progress(trace: Trace) -> Progress:
    """Return how far a run has got, from its losses and from what is known of prediction and target.

    The loss's unit does not matter: the cost of a constant answer is found from the first losses and the first
    prediction's size (an untrained prediction is unrelated to its target), so a factor on the loss cancels.

    Source:
        Own choice of the levels; theory page, section on criteria ("progress of the loss").
    """
    losses = trace.get(Statistic.LOSS)
    values = losses.finite.values
    if len(values) < _FEWEST:
        ended = len(losses) >= 2 and not math.isfinite(losses.last())
        return Progress(State.DIVERGING if ended else State.UNKNOWN, points=len(values))
    opening = _opening(values[: min(_OPENING, max(1, round(_SHARE_OPENING * len(values))))])
    closing = values[-min(_CLOSING, max(3, round(_SHARE_CLOSING * len(values)))) :]
    first, last = float(np.median(opening)), _level(closing)
    guess = _guess(trace, float(np.median(_opening(values[:_OPENING]))))
    error = _SIGNIFICANT * 1.25 * step_noise(values) * math.sqrt(1 / len(opening) + 1 / len(closing))
    gone = 1 - last / guess if guess > 0 else (1 - last / first if first > 0 and last > 0 else math.nan)
    state = _state(trace, Progress(first=first, last=last, guess=guess, gone=gone), error)
    if not math.isfinite(losses.last()):
        state = State.DIVERGING
    return Progress(state, first, last, guess, gone, len(values))


def _level(values: Floats) -> float:
    """Return the mean without the highest tenth: rare spikes do not count, a third of bad batches does."""
    return float(np.sort(values)[: math.ceil(_BULK * len(values))].mean())


def _opening(values: Floats) -> Floats:
    """Return the first losses; the very first alone where the first updates have already changed the loss much."""
    sizes = np.abs(values)
    return values[:1] if float(sizes.max()) > 2 * sizes[0] or 2 * float(sizes.min()) < sizes[0] else values


def _state(trace: Trace, seen: Progress, error: float) -> State:
    """Name the state from the levels and the error of their difference."""
    if seen.last - seen.first > max(error, (_ROSE - 1) * abs(seen.first)):
        return State.DIVERGING
    if _learned_before(trace, seen.first) and seen.last <= 2 * seen.first:
        return State.SOLVED
    if (_constant(trace) and not seen.gone >= _SOLVED) or seen.first - seen.last <= error:
        return State.STUCK
    if math.isnan(seen.gone):  # a loss that may be negative has no natural zero: only that it fell can be said
        return State.LEARNING if seen.first - seen.last > 2 * error else State.STUCK
    if seen.gone >= _SOLVED:
        return State.SOLVED
    return State.LEARNING if seen.gone >= _LEARNING else State.STUCK


def _guess(trace: Trace, first: float) -> float:
    """Return what the best constant answer would cost, in the unit of the loss; nan when it cannot be told.

    An untrained classifier costs about the rms of its log-probabilities, a guess ln C. An untrained regression costs
    |prediction|^2 + |target|^2 (a square loss), a guess the variance of the target.
    """
    size = trace.get(Statistic.OUTPUT_RMS).first()
    chance = _chance(trace)
    if not first > 0:
        return math.nan
    if chance > 0:
        return first * chance / max(chance, size if math.isfinite(size) else chance)
    spread, target = trace.get(Statistic.TARGET_SPREAD).first(), trace.get(Statistic.TARGET_RMS).first()
    untrained = size**2 + target**2
    if not (spread > 0 and math.isfinite(untrained)):
        return math.nan
    share = spread**2 / untrained
    absolute = not 1 / 3 < first / untrained < 3 and 1 / 2 < first / math.sqrt(untrained) < 2
    return first * (math.sqrt(share) if absolute else share)


def _learned_before(trace: Trace, first: float) -> bool:
    """Return whether the first loss is already well below a guess's: the weights come from an earlier training."""
    size, chance = trace.get(Statistic.OUTPUT_RMS).first(), _chance(trace)
    if chance > 0:
        return first < _LEARNED_BEFORE * chance and size > 1.5 * chance
    spread = trace.get(Statistic.TARGET_SPREAD).first()
    varied = size * trace.get(Statistic.OUTPUT_SPREAD).first()
    return spread > 0 and first < _LEARNED_BEFORE * spread**2 and varied > 0.5 * spread


def _chance(trace: Trace) -> float:
    """Return ln C of a classification loss, or nan."""
    classes = trace.get(Statistic.CLASSES).median()
    return math.log(classes) if classes > 1 else math.nan


def _constant(trace: Trace) -> bool:
    """Return whether the prediction is the same for every sample although the target is not."""
    spread = late(trace.get(Statistic.OUTPUT_SPREAD))
    return len(spread) > 0 and float(spread.values.max()) < _CONSTANT * target_spread(trace)


def target_spread(trace: Trace) -> float:
    """Return the between-sample spread of a regression target relative to its rms, at most 1; 1 where unknown."""
    share = trace.get(Statistic.TARGET_SPREAD).median() / (trace.get(Statistic.TARGET_RMS).median() or math.nan)
    return min(1.0, share) if math.isfinite(share) else 1.0
