"""Orthogonal initialisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import (
    RECTIFIERS,
    SATURATING,
    depth,
    longest_sequence,
    main_activation,
    plain_recurrent_modules,
    recurrent_modules,
    reused_layers,
    rounded,
)
from evengrad.remedies._init import can_draw, scale_repairs, stuck_parameters
from evengrad.remedies._structure import DERIVATIVE, IN_TIME, WEIGHT_SCALE
from evengrad.rules._words import number


@dataclass(frozen=True)
class OrthogonalInit(AbstractRemedy):
    """Draw weights with orthogonal rows, which neither shrink nor stretch in repeated multiplication.

    What it changes:
        In recurrent nets the recurrent matrices (per gate), and the input matrices to a size that fits the length of
        the sequences; in feed-forward ones the weights of linear layers and convolutions, before the first step; biases
        of what is drawn become 0.

    Why it helps:
        All singular values are equal, so that a product of many such matrices has no direction in which it explodes
        and none in which it vanishes. A random matrix of the right variance has both, and time steps multiply the
        same one again and again. A state that nothing shrinks adds up what comes in: after T steps its variance is T
        times that of one step, and tanh saturates, which ends the gradient all the same. Input matrices of gain
        1/sqrt(T) keep the sum at the size of one input.

    When not to:
        With ReLU across depth it only halves the spread of the gradient, while a wrong scale stays wrong: He is what
        is needed there. Below some ten layers independent weights do as well. A gate that closes cannot be opened by
        it.

    Settings:
        deep: layers from which it is proposed across depth, "1". Own choice: 10; Saxe et al. show its gain from
            there.
        gain: factor, "1". Saxe et al. 2014: 1 for linear and tanh nets; for ReLU the square root of 2.

        shortest: time steps, "1", from which the input matrices are scaled. Own choice: 10.

    Source:
        Saxe, McClelland and Ganguli, ICLR 2014; Pennington, Schoenholz and Ganguli, NeurIPS 2017; Le, Jaitly and
        Hinton 2015 (recurrent ReLU). Own measurement: a ReLU recurrence with gain 1.75 over 100 steps went from a
        loss of 3e5 to 0.011 with it and clipping, and to 0.051 with clipping alone. 1/sqrt(T) follows from the sum of T
        independent terms; a tanh recurrence that had to remember its first input among noise ended, over three seeds,
        at losses of 0.70, 0.69 and 0.70 (60 steps) and 0.70, 0.70, 0.70 (150 steps) with input gain 1, which is a
        guess, and at 0.001 to 0.006 with 1/sqrt(T).
    """

    deep: int = 10
    gain: float = 1.0
    shortest: int = 10

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = IN_TIME
    eases: ClassVar = WEIGHT_SCALE | DERIVATIVE
    place: ClassVar[int] = 18
    messages: ClassVar[Mapping[str, str]] = {
        "why-time": "neither shrinks nor stretches in {steps} time steps of repeated multiplication",
        "why-sum": "neither shrinks nor stretches in {steps} time steps of repeated multiplication; inputs at {gain} "
        "of their usual size, so that their sum over all steps stays where tanh has a slope",
        "why-depth": "all singular values are {gain}: {layers} layers in a row have no direction that explodes",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one drawing: of the recurrent matrices where there are any, else of the layers across depth."""
        layers = recurrent_modules(trace) + reused_layers(trace)
        in_time = finding is None or (finding.cause is not None and finding.cause.kind is CauseKind.RECURRENT_JACOBIAN)
        if in_time and layers:
            steps = longest_sequence(trace)
            fades = finding is None or finding.rule == "vanishing-gradient"
            adds_up = fades and plain_recurrent_modules(trace) == layers and steps >= self.shortest
            if not adds_up:
                return (self.change(modules=layers, method="recurrent", gain=self.gain),)
            into = rounded(steps**-0.5)
            return (self.change(modules=layers, method="recurrent", gain=self.gain, input_gain=into),)
        if in_time and finding is not None:
            return ()
        return self._across_depth(trace, finding)

    def _across_depth(self, trace: Trace, finding: Finding | None) -> tuple[Change, ...]:
        name = main_activation(trace)
        known = not name or name in SATURATING or (finding is None and name in RECTIFIERS)
        if not known or depth(trace) < self.deep or not can_draw(trace) or stuck_parameters(trace, finding):
            return ()
        if not scale_repairs(trace, finding):
            return ()
        gain = 2**0.5 if name in RECTIFIERS else self.gain
        return (self.change(method="orthogonal", gain=gain),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        if change.word("method") == "recurrent":
            steps, into = str(longest_sequence(trace) or "all"), change.number("input_gain", 1.0)
            return (
                self.say("why-time", steps=steps)
                if into == 1.0
                else self.say("why-sum", steps=steps, gain=number(into))
            )
        return self.say("why-depth", gain=number(change.number("gain")), layers=str(depth(trace)))


REMEDY = OrthogonalInit()
