"""What step 0 is held against: every threshold of the check, with its unit and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evengrad.checks.optimizers import OptimizerChoice
from evengrad.checks.probe import Probe
from evengrad.checks.profile import typical
from evengrad.checks.result import Outset, Prediction, Row, Spread, Time, Transformer
from evengrad.core.trace import Trace


@dataclass(frozen=True)
class Criteria:
    """Thresholds at step 0.

    Attributes:
        fading: attenuation, decades, from which on an optimizer that does not divide by the gradient's size is slow.
            Theory page, criteria: warn below -3.
        vanishing: attenuation, decades. Theory page, criteria: of 116 runs, those that trained lie in [-2.86, +1.60],
            vanishing ones at -4.33 and below.
        delayed: attenuation, decades, from which on an adaptive optimizer is slow. Theory page: with Adam -4.8 trains,
            -7.4 crawls; the middle.
        growing: attenuation, decades. Theory page, criteria: warn above +2.
        exploding: attenuation, decades. Theory page: exploding ones lie at +3.20 and above.
        signal: decades of rms across depth. Theory page: 6 decades of mean square.
        indistinct: between-sample variance over second moment. Theory page: severe below 1e-8.
        epsilon: rms of a starved layer's gradient over an adaptive optimizer's eps. At 1 half of the step is eps.
            Theory page: eps share above .5.
        time_vanishing: attenuation across a sequence, decades; worth knowing only, since a task may need no memory.
            Theory page: trained nets up to -2.86.
        time_exploding: growth across a sequence, decades. Theory page: +3 as for depth.
        horizon: decades over which something can be learned. Theory page: recall of a first token.
        certain: first loss over ln C. Own choice: a sound start is within 2; ten times costs a loss of ten guesses.
        certain_scale: rms(W) * sqrt(fan_in) of the last layer above which it is what makes the network certain. As in
            the rule ``bad-initialisation``.
        dead: share of a hidden layer's units. Theory page: severe above .9.
        dead_samples: samples (over all seeds) on which that must rest. Theory page: 1000, or three windows.
        dead_wholly: share of a layer that no chance leaves silent on one batch. As in the rule ``dead-units``.
        alike: 1 - mean cosine of tokens. Theory page: collapsed below 1e-3.
        query_key: gradient of queries and keys over that of values. Theory page: 1e-3.
        dead_rows: share of attention rows that pass nothing to their scores. Theory page: above .3.
        entropy: entropy of attention over its maximum. Theory page: below .1.
        input_large, input_small: size of the data, "x". Theory page: outside [0.1, 10].
        input_small_max: largest value up to which small data are small and not sparse, "x". Own choice.
        input_saturated: share of the first activation. Own choice, as in the rule ``input-scale``.
        input_behind: size behind the first layer, "x". Own choice, as in the rule ``input-scale``.
        input_drowned: distinguishability behind the first layer over before it. Own choice, as there.
        output_spread: between-sample spread of a prediction over its size: rounding of float32.
        output_apart: distinguishability in front of the last layer that a constant prediction has swallowed.
        cut: share of entries without gradient below which it is information. Own choice, as in ``no-gradient``.
        underflow: share of gradient entries that float16 flushes to 0. Theory page: He .00, slightly small .05.
        first_step: relative change of a weight tensor in the first step. Theory page: above .3 is too high a rate.
        first_step_least: rms of a weight tensor times sqrt(fan_in) below which it was meant to begin near zero.
        band: standard deviations of the finite-width band within which an attenuation is chance. Theory page: 3.
    """

    fading: float = -3.0
    vanishing: float = -4.0
    delayed: float = -6.0
    growing: float = 2.0
    exploding: float = 3.0
    signal: float = 3.0
    indistinct: float = 1e-8
    epsilon: float = 1.0
    time_vanishing: float = -3.0
    time_exploding: float = 3.0
    horizon: float = 3.0
    certain: float = 10.0
    certain_scale: float = 2.0
    dead: float = 0.9
    dead_samples: float = 1000.0
    dead_wholly: float = 0.99
    alike: float = 1e-3
    query_key: float = 1e-3
    dead_rows: float = 0.3
    entropy: float = 0.1
    input_large: float = 10.0
    input_small: float = 0.1
    input_small_max: float = 0.5
    input_saturated: float = 0.9
    input_behind: float = 3.0
    input_drowned: float = 0.01
    output_spread: float = 1e-6
    output_apart: float = 1e-6
    cut: float = 0.1
    underflow: float = 0.05
    first_step: float = 0.3
    first_step_least: float = 0.1
    band: float = 3.0


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that the judges of a check look at."""

    probes: tuple[Probe, ...]
    optimizer: OptimizerChoice
    redrawn: bool
    data_made: bool
    attenuation: Spread
    rows: tuple[Row, ...]
    outset: Outset
    prediction: Prediction | None
    transformer: Transformer | None
    times: tuple[Time, ...]
    criteria: Criteria

    @property
    def typical(self) -> Probe:
        """The probe whose attenuation is the median."""
        return typical(self.probes)

    @property
    def trace(self) -> Trace:
        """The trace of that probe."""
        return self.typical.trace

    def row(self, layer: str) -> Row | None:
        """Return the row of a layer."""
        return next((row for row in self.rows if row.layer == layer), None)


def median(values: Sequence[float]) -> float:
    """Return the (lower) median of what is not nan."""
    return Spread.of(values).median
