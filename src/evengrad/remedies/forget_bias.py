"""Open forget gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import gated_modules, longest_sequence, rounded
from evengrad.rules._words import number


@dataclass(frozen=True)
class ForgetBias(AbstractRemedy):
    """Start the gates that keep the state open, for as long as the sequences are.

    What it changes:
        The biases of the forget gates of LSTMs, and of the update gates of GRUs, before the first step.

    Why it helps:
        The state is multiplied by the gate at every step. At PyTorch's bias of 0 that is 1/2: after 100 steps 1e-30
        is left of the state and of its gradient. A bias of ln T keeps both for about T steps.

    When not to:
        Where the task needs a short memory: an open gate forgets slowly. Layers without such a gate (RNN)
        have none.

    Settings:
        shortest: time steps, "1", from which it is proposed. Own choice: 6.
        modest: bias of the second candidate, "h". Jozefowicz et al. 2015: 1.

    Source:
        Gers, Schmidhuber and Cummins 2000; Jozefowicz, Zaremba and Sutskever, ICML 2015; Tallec and Ollivier, ICLR
        2018, section 2 (chrono initialisation: ln of the memory's length). Own measurement, the first of 60 inputs to
        be remembered among noise, 300 steps, three seeds (a guess costs 0.69): LSTM 0.02 to 0.08 with ln T, 0.69 with
        1; GRU 0.51 to 0.59 and falling with ln T, 0.69 with half of it.
    """

    shortest: int = 6
    modest: float = 1.0

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = faults("vanishing-gradient", CauseKind.RECURRENT_JACOBIAN)
    place: ClassVar[int] = 4
    messages: ClassVar[Mapping[str, str]] = {
        "why": "opens the forget gate, so that the state and its gradient last for {steps} time steps: a bias "
        "of {bias} keeps {kept} of them per step, one of 0 keeps 0.5",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return a bias for the length of the sequences, and the usual one; none without a forget gate."""
        modules, steps = gated_modules(trace), longest_sequence(trace)
        if not modules or steps < self.shortest:
            return ()
        biases = dict.fromkeys((rounded(math.log(steps)), self.modest))
        return tuple(self.change(modules=modules, method="forget-bias", bias=bias) for bias in biases)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with what the gate keeps per step."""
        bias = change.number("bias")
        kept = number(1 / (1 + math.exp(-bias)))
        return self.say("why", steps=str(longest_sequence(trace)), bias=number(bias), kept=kept)


REMEDY = ForgetBias()
