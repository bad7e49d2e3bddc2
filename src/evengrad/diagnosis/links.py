"""Which finding explains which: the table by which consequences are folded under their causes.

The principle: the root is the earliest fault whose mechanism produces the others. The table is read from the top, and
the first row that fits names the parent of a finding; what fits no row is a fault of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from evengrad.core.finding import CauseKind, Finding

_C = CauseKind

OWNERS: dict[CauseKind, str] = {
    _C.LOOP_ORDER: "loop-order",
    _C.PRECISION: "precision-loss",
    _C.INPUT_SCALE: "input-scale",
    _C.TARGET_SCALE: "target-scale",
    _C.LEARNING_RATE_HIGH: "update-too-large",
    _C.WARMUP_MISSING: "update-too-large",
    _C.DEAD_UNITS: "dead-units",
}
"""The rule whose fault a cause is: a finding that names this cause is a consequence of that rule's finding."""

STRUCTURAL = frozenset({
    _C.ACTIVATION_DERIVATIVE,
    _C.WEIGHT_SCALE_SMALL,
    _C.WEIGHT_SCALE_LARGE,
    _C.DEPTH_WITHOUT_SKIP_OR_NORM,
    _C.RECURRENT_JACOBIAN,
})  # fmt: skip
"""Causes that lie in the network as it was built: no learning rate and no order of calls brings them about."""

ABRUPT = frozenset({_C.LOSS_NUMERICS, _C.DATA})
"""Causes that strike a sound run: what came before them does not explain them."""


class When(Enum):
    """How the first steps of cause and consequence must lie."""

    ANY = "any"
    NOT_BEFORE = "not before"  # the consequence does not show before its cause
    AFTER = "after"  # it shows later than its cause


@dataclass(frozen=True)
class Link:
    """A finding of the rule ``root`` explains one of the rule ``effect``, under conditions on both.

    Attributes:
        root: Rule of the cause.
        effect: Rule of the consequence.
        when: Order of the first steps.
        root_not: Causes of the root's finding with which it explains nothing here.
        effect_only: Causes of the consequence, one of which it must have; empty: any.
        effect_not: Causes of the consequence that speak for a fault of its own.
        same_place: Whether both must name a parameter or module in common.
        root_keys: Messages of the root's finding, one of which it must be; empty: any.
    """

    root: str
    effect: str
    when: When = When.NOT_BEFORE
    root_not: frozenset[CauseKind] = frozenset()
    effect_only: frozenset[CauseKind] = frozenset()
    effect_not: frozenset[CauseKind] = frozenset()
    same_place: bool = False
    root_keys: frozenset[str] = frozenset()

    def fits(self, root: Finding, effect: Finding) -> bool:
        """Return whether one finding explains the other by this row."""
        if (root.rule, effect.rule) != (self.root, self.effect):
            return False
        cause, symptom = (finding.cause.kind if finding.cause else None for finding in (root, effect))
        if cause in self.root_not or symptom in self.effect_not:
            return False
        if self.effect_only and symptom not in self.effect_only:
            return False
        if self.root_keys and root.message_key not in self.root_keys:
            return False
        if self.same_place and not _meet(root, effect):
            return False
        if self.when is When.ANY:
            return True
        delay = effect.first_step - root.first_step
        return delay > 0 if self.when is When.AFTER else delay >= 0


def _meet(root: Finding, effect: Finding) -> bool:
    """Return whether two findings name a parameter or a module in common."""
    return bool({*root.parameters} & {*effect.parameters} or {*root.modules} & {*effect.modules})


def _row(
    root: str,
    effects: str,
    when: When = When.NOT_BEFORE,
    *,
    root_not: frozenset[CauseKind] = frozenset(),
    effect_only: frozenset[CauseKind] = frozenset(),
    effect_not: frozenset[CauseKind] = frozenset(),
    same_place: bool = False,
    root_keys: frozenset[str] = frozenset(),
) -> tuple[Link, ...]:
    """Return the links from one rule to several."""
    return tuple(
        Link(root, effect, when, root_not, effect_only, effect_not, same_place, root_keys) for effect in effects.split()
    )


_RATE = frozenset({_C.LEARNING_RATE_HIGH, _C.WARMUP_MISSING})
_CUT = frozenset({_C.DISCONNECTED})
_DEPTH = STRUCTURAL - {_C.RECURRENT_JACOBIAN}
_CLIP = frozenset({"loop-order.clip-before-backward", "loop-order.clip-after-step", "loop-order.clip-before-unscale"})
_ZERO = frozenset({"loop-order.foreign-zero"})
_HEAD = frozenset({_C.OUTPUT_ACTIVATION})
_DATA = frozenset({_C.DATA})

TABLE: tuple[Link, ...] = (
    # Calls in the wrong order: gradients that add up blow up whatever is sound; gradients that are zeroed, clipped away
    # or given to another optimizer leave nothing to learn from. What the network was built with stays its own fault.
    *_row("loop-order", "update-too-large update-too-small clipping-saturated gradient-spike", When.ANY),
    *_row("loop-order", "no-gradient constant-output loss-scale-collapse", When.ANY),
    *_row("loop-order", "non-finite exploding-gradient", effect_not=STRUCTURAL | ABRUPT),
    # A clip that would have held a recurrence together, and does nothing where it stands.
    *_row("loop-order", "exploding-gradient non-finite", When.ANY, effect_not=_DEPTH | ABRUPT, root_keys=_CLIP),
    *_row("loop-order", "vanishing-gradient no-gradient bad-initialisation", When.ANY, root_keys=_ZERO),
    *_row("loop-order", "dead-units saturated-activation", effect_not=STRUCTURAL),
    *_row("loop-order", "vanishing-gradient bad-initialisation", When.AFTER, effect_not=STRUCTURAL),
    # Coarse number formats: gradients that flush to zero look vanished, disconnected or dead.
    *_row("precision-loss", "no-gradient vanishing-gradient", When.ANY, same_place=True),
    *_row("precision-loss", "update-too-small constant-output", When.ANY, effect_not=_CUT),
    *_row("precision-loss", "loss-scale-collapse"),
    # Data: they come before every layer.
    *_row("input-scale", "saturated-activation dead-units constant-output", When.ANY, effect_not=_HEAD),
    *_row("input-scale", "update-too-large gradient-spike", When.ANY),
    *_row("input-scale", "update-too-small clipping-saturated loss-scale-collapse target-scale", When.ANY),
    *_row("input-scale", "non-finite exploding-gradient bad-initialisation", When.ANY, effect_not=STRUCTURAL | _DATA),
    *_row("input-scale", "exploding-gradient vanishing-gradient", When.AFTER),
    *_row("target-scale", "update-too-large update-too-small gradient-spike clipping-saturated", When.ANY),
    *_row("target-scale", "constant-output loss-scale-collapse dead-units saturated-activation"),
    *_row("target-scale", "non-finite exploding-gradient", effect_not=STRUCTURAL | _DATA),
    *_row("target-scale", "exploding-gradient vanishing-gradient", When.AFTER),
    # A network that explodes as it was built; where the learning rate blew it up, the next block has it the other way.
    *_row("exploding-gradient", "bad-initialisation saturated-activation", When.ANY, root_not=_RATE),
    *_row("exploding-gradient", "update-too-large", When.ANY, root_not=_RATE),
    *_row("exploding-gradient", "dead-units constant-output", root_not=_RATE),
    *_row("exploding-gradient", "non-finite", When.ANY, effect_not=_DATA),
    *_row("exploding-gradient", "gradient-spike clipping-saturated loss-scale-collapse update-too-small", When.ANY),
    # Steps that are too long, in a network that began sound.
    *_row("update-too-large", "exploding-gradient non-finite", effect_not=STRUCTURAL | _DATA),
    *_row("update-too-large", "gradient-spike clipping-saturated loss-scale-collapse", When.ANY),
    *_row("update-too-large", "constant-output dead-units saturated-activation update-too-small no-gradient",
          effect_not=_CUT | _HEAD),
    *_row("update-too-large", "vanishing-gradient", When.AFTER, effect_not=frozenset({_C.WEIGHT_SCALE_SMALL})),
    # Units that pass nothing: all layers before them get nothing, and the output is constant.
    *_row("dead-units", "vanishing-gradient", When.ANY, effect_only=frozenset({_C.DEAD_UNITS})),
    *_row("dead-units", "no-gradient constant-output update-too-small bad-initialisation", When.ANY, effect_not=_CUT),
    # A gradient that is lost on its way: what made it so is its cause, what does not move is its consequence.
    *_row("vanishing-gradient", "dead-units", When.ANY, root_not=frozenset({_C.DEAD_UNITS})),
    *_row("vanishing-gradient", "saturated-activation bad-initialisation", When.ANY),
    *_row("vanishing-gradient", "update-too-large", root_not=_RATE),
    *_row("vanishing-gradient", "update-too-small constant-output", When.ANY),
    *_row("vanishing-gradient", "no-gradient", When.ANY, effect_not=_CUT),
    # Symptoms that explain only other symptoms.
    *_row("bad-initialisation", "saturated-activation dead-units constant-output update-too-small", When.ANY),
    *_row("saturated-activation", "constant-output update-too-small no-gradient", When.ANY, effect_not=_CUT),
    *_row("gradient-spike", "non-finite dead-units constant-output saturated-activation", effect_not=ABRUPT),
    *_row("non-finite", "loss-scale-collapse", When.ANY),
    *_row("non-finite", "gradient-spike constant-output no-gradient dead-units update-too-small saturated-activation"),
    *_row("loss-scale-collapse", "update-too-small no-gradient constant-output", When.ANY, effect_not=_CUT),
    *_row("clipping-saturated", "update-too-small constant-output", When.ANY),
    *_row("no-gradient", "constant-output update-too-small", When.ANY),
    *_row("constant-output", "update-too-small", When.ANY),
)  # fmt: skip
"""The rows, roots first."""

ROOTS = tuple(dict.fromkeys(link.root for link in TABLE))
"""The rules that explain others, in the order of the table: of two that could explain each other, the first does."""
