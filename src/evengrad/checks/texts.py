"""The English sentences of a check's findings; translations stand in the reports' ``check.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evengrad.core.finding import Cause, CauseKind

MESSAGES: Final[Mapping[str, str]] = {
    "vanishes": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`: SGD leaves the "
    "first layers as they are, Adam learns slowly at best.",
    "vanishes-linear": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`: "
    "{optimizer} leaves the first layers as they are.",
    "vanishes-delayed": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`: "
    "{optimizer} divides by its size, but learns slowly at first.",
    "vanishes-mild": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`; {optimizer} "
    "divides by its size and trains all the same.",
    "vanishes-epsilon": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`: at "
    "`{layer}` its entries have size {size}, below the eps of {optimizer} ({eps}).",
    "vanishes-indistinct": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`, and "
    "all samples look the same in front of `{last}`: there is little to learn from.",
    "vanishes-faded": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`, and the "
    "signal in front of `{last}` is {ratio} times that of the first hidden layer.",
    "vanishes-zero": "At step 0 no gradient at all reaches `{first}`: it is exactly 0 after {layers} layers.",
    "fades": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`: SGD moves the first "
    "layers slowly, Adam divides by its size.",
    "fades-linear": "At step 0 the gradient falls by {decades} decades from `{last}` back to `{first}`: {optimizer} "
    "moves the first layers slowly.",
    "explodes": "At step 0 the gradient grows by {decades} decades from `{last}` back to `{first}`.",
    "time-explodes": "Across the {length} time steps of `{module}` the gradient grows by {decades} decades at step 0.",
    "time-vanishes": "Across the {length} time steps of `{module}` the gradient falls by {decades} decades at step 0: "
    "what lies more than about {horizon} steps back is not learned at first.",
    "signal": "At step 0 the signal changes by {decades} decades from `{first}` to `{last}`.",
    "indistinct": "At step 0 all samples look the same in front of `{layer}`: their differences are {share} of their "
    "size squared.",
    "certain": "The first loss is {loss}, {times} times that of a guess (ln {classes} = {guess}): the network begins "
    "certain of wrong answers.",
    "identical": "The units of {layers} are copies of each other: they begin with the same weights and get the same "
    "gradients.",
    "stuck-at-zero": "The weights {parameters} are zero and get no gradient; no step will change that.",
    "tokens": "At step 0 the tokens of a sequence are alike (mean cosine {cosine} at `{where}`), and queries and keys "
    "get {ratio} times the gradient of values.",
    "peaked": "At step 0 the attention of `{module}` looks at single positions: {dead} of its rows pass no gradient "
    "to their scores (entropy {entropy} of its maximum).",
    "dead": "At step 0, {dead} of the units of `{site}` pass no gradient on any sample.",
    "constant": "The prediction is the same for every sample, although `{layer}` tells them apart: what follows it "
    "swallows the difference.",
    "input-saturates": "The data that `{layer}` acts on are of size {rms}: they saturate {saturated} of what follows.",
    "input-passes": "The data that `{layer}` acts on are of size {rms}, and still of size {behind} behind it: loss and "
    "gradient are ruled by their scale.",
    "input-drowns": "The data that `{layer}` acts on are of size {rms}: biases outweigh them, and samples are hardly "
    "told apart behind it.",
    "nothing": "No parameter gets a gradient: the loss does not depend on them.",
    "cut": "{count} parameter tensors ({share} of all entries), from the data on up to `{module}`, get no gradient at "
    "step 0.",
    "unused": "{count} parameter tensors ({share} of all entries) in {modules} get no gradient at step 0; the others "
    "do.",
    "not-held": "{count} parameter tensors ({share} of all entries) in {modules} get a gradient, but the optimizer "
    "does not hold them.",
    "underflow": "In float16, {share} of the weights' gradient entries round to 0 at step 0 (worst: `{parameter}`).",
    "rounding": "Updates of about {update} of a weight are lost in {dtype}, which holds changes above {least}.",
    "first-step": "The first step of {optimizer} changes `{parameter}` by {ratio} times its size.",
    "cause-units-alike": "a constant initialisation",
    "cause-scale": "weights of {factor} times the scale that keeps the signal",
    "cause-last": "weights of scale {factor} at `{layer}`, where 1 keeps the size of the signal",
    "cause-depth": "what the layers do in a row, not one of them",
    "cause-activation": "{operation} loses the differences between samples at any weight scale",
    "cause-output": "what stands between the last layer and the loss",
    "cause-data": "data of size {rms} where about 1 is expected",
    "cause-disconnected": "no differentiable path leads from the loss to `{module}`",
    "cause-blocked": "the gradient is exactly 0 when it reaches `{module}`",
    "cause-not-held": "the optimizer was given other parameters",
    "cause-zero": "each of two weights in a row is zero, so that neither lets a gradient reach the other",
    "cause-residual": "normalisation after each residual sum makes the tokens of deep stacks alike",
    "cause-scores": "scores of spread {logits}, where up to about 4 keeps the softmax soft",
    "cause-units": "pre-activations that are negative for every sample",
    "cause-rate": "a learning rate of {rate} for weights of size {size}",
    "cause-format": "gradients below {least} are 0 in float16",
    "cause-rounding": "weights kept in {dtype} and steps too short for it",
}


def say(key: str, **values: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return ``(text, qualified key, values)`` of a sentence, for a finding's text fields."""
    return MESSAGES[key].format(**values), f"check.{key}", tuple(values.items())


def because(kind: CauseKind, key: str, share: float = 1.0, **values: str) -> Cause:
    """Return a cause whose explanation is a filled sentence."""
    text, qualified, pairs = say(key, **values)
    return Cause(kind=kind, share=share, explanation=text, key=qualified, values=pairs)
