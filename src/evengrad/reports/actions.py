"""What to do first, by cause: the table of the sentences that say so.

Source:
    Own measurements, eight sick nets by twelve remedies: clipping and L2 repaired no explosion across depth, He
    initialisation no sigmoid net; standardising repaired inputs, smaller weights repaired weights. He et al., ICCV 2015
    (ReLU); Glorot and Bengio, AISTATS 2010 (tanh); Tallec and Ollivier, ICLR 2018 (forget bias); Pascanu et al., ICML
    2013 (clipping in time).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind


@dataclass(frozen=True)
class Action:
    """What to do first: ``key`` finds the sentence; ``drawn`` says that there is one for each initialisation."""

    key: str
    drawn: bool = False


_SMALLER: Final = Action("weight-scale-large", drawn=True)
_LARGER: Final = Action("weight-scale-small", drawn=True)
_CLIP_IN_TIME: Final = Action("recurrent-jacobian.exploding")
_CLIPPING: Final = Action("clipping-saturated")
_AWAY_FROM_ZERO: Final = Action("zero-weights")
_LESS_DECAY: Final = Action("weight-decay-high")
_GUARD_DERIVATIVE: Final = Action("undefined-derivative")

BY_CAUSE: Final[Mapping[CauseKind, Action]] = {
    CauseKind.ACTIVATION_DERIVATIVE: Action("activation-derivative"),
    CauseKind.WEIGHT_SCALE_SMALL: _LARGER,
    CauseKind.WEIGHT_SCALE_LARGE: _SMALLER,
    CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM: Action("depth-without-skip-or-norm"),
    CauseKind.RECURRENT_JACOBIAN: Action("recurrent-jacobian"),
    CauseKind.INPUT_SCALE: Action("input-scale"),
    CauseKind.TARGET_SCALE: Action("target-scale"),
    CauseKind.LEARNING_RATE_HIGH: Action("learning-rate-high"),
    CauseKind.LEARNING_RATE_LOW: Action("learning-rate-low"),
    CauseKind.LOSS_NUMERICS: Action("loss-numerics"),
    CauseKind.PRECISION: Action("precision"),
    CauseKind.DEAD_UNITS: Action("dead-units"),
    CauseKind.LOOP_ORDER: Action("read"),
    CauseKind.DISCONNECTED: Action("disconnected"),
    CauseKind.DATA: Action("data"),
    CauseKind.OPTIMIZER_EPSILON: Action("optimizer-epsilon"),
    CauseKind.WARMUP_MISSING: Action("warmup-missing"),
    CauseKind.OUTPUT_ACTIVATION: Action("output-activation"),
}

BY_RULE_AND_CAUSE: Final[Mapping[tuple[str, CauseKind], Action]] = {
    **{
        (rule, CauseKind.RECURRENT_JACOBIAN): _CLIP_IN_TIME
        for rule in ("exploding-gradient", "gradient-spike", "non-finite")
    },
    ("gradient-spike", CauseKind.DATA): Action("gradient-spike.data"),
    ("gradient-spike", CauseKind.LEARNING_RATE_HIGH): Action("learning-rate-high"),
    ("clipping-saturated", CauseKind.LEARNING_RATE_HIGH): _CLIPPING,
    ("clipping-saturated", CauseKind.LEARNING_RATE_LOW): _CLIPPING,
    ("loss-scale-collapse", CauseKind.PRECISION): Action("loss-scale-collapse"),
    ("loss-scale-collapse", CauseKind.LOSS_NUMERICS): _GUARD_DERIVATIVE,
    ("constant-output", CauseKind.DATA): Action("constant-output.data"),
}

# By the key of the cause's own sentence, where one kind of cause hides faults that want opposite things.
BY_CAUSE_KEY: Final[Mapping[str, Action]] = {
    "no-gradient.cause-flat": Action("flat-operation"),
    "vanishing-gradient.cause-decay": _LESS_DECAY,
    "constant-output.cause-decay": _LESS_DECAY,
    "bad-initialisation.cause-certain": Action("certain-output"),
    "bad-initialisation.cause-identical": Action("identical-weights"),
    "bad-initialisation.cause-zero": _AWAY_FROM_ZERO,
    "no-gradient.cause-zero": _AWAY_FROM_ZERO,
    "vanishing-gradient.cause-zero-weights": _AWAY_FROM_ZERO,
    "non-finite.cause-epsilon": Action("epsilon-zero"),
    "non-finite.cause-backward": _GUARD_DERIVATIVE,
    "non-finite.cause-numerics": _GUARD_DERIVATIVE,
    "non-finite.cause-loss": Action("empty-batch"),
    "precision-loss.cause-unscaled": Action("loss-unscaled"),
    "precision-loss.cause-scaled": Action("loss-scale-small"),
}

BY_RULE: Final[Mapping[str, Action]] = {
    "gradient-spike": Action("gradient-spike"),
    "clipping-saturated": _CLIPPING,
    "loss-scale-collapse": Action("loss-scale-collapse"),
    "update-too-large": BY_CAUSE[CauseKind.LEARNING_RATE_HIGH],
    "update-too-small": BY_CAUSE[CauseKind.LEARNING_RATE_LOW],
    "no-gradient": BY_CAUSE[CauseKind.DISCONNECTED],
    "input-scale": BY_CAUSE[CauseKind.INPUT_SCALE],
    "target-scale": BY_CAUSE[CauseKind.TARGET_SCALE],
    "dead-units": BY_CAUSE[CauseKind.DEAD_UNITS],
    "precision-loss": BY_CAUSE[CauseKind.PRECISION],
    "non-finite": Action("non-finite"),
    "constant-output": Action("constant-output"),
}

# Activations whose derivative is 1 at the origin: where they eat the gradient they are saturated, and smaller weights
# free them (tanh at gain 3: Xavier repaired it, leaky ReLU at the same weights exploded). He makes good ReLU's half.
# GELU and SiLU are below critical with He, so their scale is found on data.
BY_ACTIVATION: Final[Mapping[str, Action]] = {
    **dict.fromkeys(
        ("tanh", "hardtanh", "softsign", "erf"),
        Action("activation-derivative.saturated"),
    ),
    **dict.fromkeys(
        ("relu", "leakyrelu", "prelu", "prelukernel", "rreluwithnoise", "elu", "gelu", "silu", "mish", "hardswish"),
        _LARGER,
    ),
}

LOOP: Final = (
    EventKind.ZERO_GRAD_MISSING,
    EventKind.ZERO_GRAD_BEFORE_STEP,
    EventKind.CLIP_BEFORE_BACKWARD,
    EventKind.CLIP_AFTER_STEP,
    EventKind.CLIP_BEFORE_UNSCALE,
    EventKind.DOUBLE_STEP,
    EventKind.STEP_WITHOUT_BACKWARD,
    EventKind.FOREIGN_PARAMETERS,
)
