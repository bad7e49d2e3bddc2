"""The closed vocabulary of measured quantities."""

from __future__ import annotations

from enum import Enum


class Scope(Enum):
    """What the subject of a statistic names."""

    RUN = "run"  # subject is ""
    PARAMETER = "parameter"  # subject is a parameter's name, "net.0.weight"
    MODULE = "module"  # subject is the name of a layer site, "net.0" (weights act on data there)
    ACTIVATION = "activation"  # subject is the name of an activation site, "net.1"
    OPTIMIZER = "optimizer"  # subject is "<optimizer index>/<group index>", "0/0"


class Statistic(Enum):
    """A measured quantity: ``(id, scope, unit)``; unit "1" is a plain ratio.

    Gradients are unscaled (a loss scale is divided out) and raw (before clipping) unless the name says otherwise.
    """

    LOSS = ("loss", Scope.RUN, "loss")
    GRAD_NORM = ("grad_norm", Scope.RUN, "loss/W")  # L2 over all parameters of the optimizers
    CLIP_COEF = ("clip/coef", Scope.RUN, "1")  # factor that clipping applied, 1 when idle
    CLIP_MAX_NORM = ("clip/max_norm", Scope.RUN, "loss/W")
    LOSS_SCALE = ("amp/scale", Scope.RUN, "1")
    AMP_SKIPPED = ("amp/skipped", Scope.RUN, "1")  # 1 on steps that the GradScaler skipped, else 0
    BATCH_SIZE = ("batch_size", Scope.RUN, "1")  # samples that the loss saw, when it can be told
    CLASSES = ("classes", Scope.RUN, "1")  # classes of a classification loss, when it can be told
    OUTPUT_RMS = ("output_rms", Scope.RUN, "x")  # prediction that enters the loss
    OUTPUT_SPREAD = ("output_spread", Scope.RUN, "1")  # between-sample std / rms of that prediction
    TARGET_RMS = ("target_rms", Scope.RUN, "x")  # of a regression target
    BINARY_TARGET_RMS = ("binary_target_rms", Scope.RUN, "1")  # of a binary cross-entropy's target; 1 is the most
    TARGET_SPREAD = ("target_spread", Scope.RUN, "x")  # between-sample std of a regression target

    GRAD_RMS = ("grad_rms", Scope.PARAMETER, "loss/W")  # exactly 0.0 when every entry is 0; NaN/Inf when not finite
    GRAD_MISSING = ("grad_missing", Scope.PARAMETER, "1")  # 1 when .grad is None at the step, else 0
    GRAD_ZERO_SHARE = ("grad_zero_share", Scope.PARAMETER, "1")  # entries that are 0 (half precision: or subnormal)
    WEIGHT_RMS = ("weight_rms", Scope.PARAMETER, "W")
    UPDATE_RATIO = ("update_ratio", Scope.PARAMETER, "1")  # rms(ΔW)/rms(W) of one optimizer step
    EPS_SHARE = ("eps_share", Scope.PARAMETER, "1")  # Adam family: mean eps/(sqrt(v_hat)+eps) over live entries
    REALISED_FRACTION = ("realised_fraction", Scope.PARAMETER, "1")  # <ΔW, u>/|u|^2 for the intended update u

    GRAD_OUTPUT_NORM = ("grad_output_norm", Scope.MODULE, "loss/x")  # L2 of dL/dh over the whole batch
    GRAD_OUTPUT_RMS = ("grad_output_rms", Scope.MODULE, "loss/x")
    INPUT_RMS = ("input_rms", Scope.MODULE, "x")  # of the data that the layer's weights act on
    INPUT_MAX = ("input_max", Scope.MODULE, "x")
    INPUT_MEAN = ("input_mean", Scope.MODULE, "x")
    FEATURE_SPREAD = ("feature_spread", Scope.MODULE, "1")  # largest / median per-feature rms of that input
    DISTINGUISHABILITY = ("distinguishability", Scope.MODULE, "1")  # between-sample variance / second moment of it
    DEPTH = ("depth", Scope.MODULE, "layer")  # weight layers between it and the data; 0 is nearest the input

    SATURATED = ("saturated", Scope.ACTIVATION, "1")  # share of (unit, sample) with |f'| < 0.05 max|f'|
    DEAD = ("dead", Scope.ACTIVATION, "1")  # share of units that pass no gradient on any sample seen
    DEAD_SAMPLES = ("dead_samples", Scope.ACTIVATION, "1")  # how many samples that share rests on
    ACTIVATION_RMS = ("activation_rms", Scope.ACTIVATION, "x")
    DERIVATIVE_RMS = ("derivative_rms", Scope.ACTIVATION, "1")  # sqrt(mean f'(h)^2)

    LEARNING_RATE = ("learning_rate", Scope.OPTIMIZER, "1")

    def __init__(self, key: str, scope: Scope, unit: str) -> None:
        self.key = key
        self.scope = scope
        self.unit = unit

    @classmethod
    def of(cls, key: str) -> Statistic:
        """Return the statistic whose id is ``key``.

        Raises:
            KeyError: no statistic has that id.
        """
        return _BY_KEY[key]


_BY_KEY = {statistic.key: statistic for statistic in Statistic}
