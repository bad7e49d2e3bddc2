"""The lines of plain torch that draw weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evengrad.core.info import ModuleInfo
from evengrad.core.plan import Change
from evengrad.errors import PatchError
from evengrad.patches._facts import Facts
from evengrad.patches._words import number

WEIGHTED = ("Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
RECURRENT = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")


@dataclass(frozen=True)
class Draw:
    """How weights are drawn; ``nn`` is the name of torch.nn in the file."""

    method: str
    gain: float
    slope: float
    bias: float
    nn: str
    input_gain: float = math.nan

    @property
    def _gain(self) -> str:
        return _gain(self.gain)

    def weight(self, tensor: str, owner: str) -> list[str]:
        """Return the lines that draw one weight matrix or kernel of a layer.

        Args:
            tensor: Expression of the weight.
            owner: Expression of the layer.

        Returns:
            The lines.

        Raises:
            PatchError: There is no such method.
        """
        init = f"{self.nn}.init"
        if self.method == "xavier":
            return [f"{init}.xavier_uniform_({tensor}{self._gain})"]
        if self.method == "he":
            leaky = not math.isnan(self.slope) and self.slope != 0.0
            kind = f'a={number(self.slope)}, nonlinearity="leaky_relu"' if leaky else 'nonlinearity="relu"'
            return [f"{init}.kaiming_normal_({tensor}, {kind})"]
        if self.method == "lecun":
            return [f'{init}.kaiming_normal_({tensor}, nonlinearity="linear")']
        if self.method in {"orthogonal", "recurrent", "lsuv"}:
            return [f"{init}.orthogonal_({tensor}{self._gain})"]
        if self.method == "critical":
            gain = 1.0 if math.isnan(self.gain) else self.gain
            return [f"{init}.normal_({tensor}, std={number(gain)} / {tensor}[0].numel() ** 0.5)"]
        if self.method == "delta-orthogonal":
            centre = f"{tensor}.data[(..., *(size // 2 for size in {owner}.kernel_size))]"
            return [
                f"if {tensor}.ndim > 2:",
                f"    {init}.zeros_({tensor})",
                f"    {init}.orthogonal_({centre}{self._gain})",
                "else:",
                f"    {init}.orthogonal_({tensor}{self._gain})",
            ]
        raise PatchError(
            f"{self.method!r} is no initialisation known here; write it in by hand before the optimizer is made"
        )

    def layer(self, owner: str, *, biased: bool) -> list[str]:
        """Return the lines that draw a layer anew; ``biased``: it is known to have a bias."""
        if self.method == "residual":
            return self._damped(f"{owner}.weight", f"{owner}.bias", biased=biased)
        if self.method == "bias":
            return [self._constant(f"{owner}.bias")]
        lines = self.weight(f"{owner}.weight", owner)
        spread = self.method == "critical" and self.bias > 0
        drawn = f"{self.nn}.init.normal_({owner}.bias, std={number(self.bias)})"
        line = drawn if spread else f"{self.nn}.init.zeros_({owner}.bias)"
        return [*lines, *([line] if biased else [f"if {owner}.bias is not None:", "    " + line])]

    def _damped(self, weight: str, bias: str, *, biased: bool) -> list[str]:
        gain = 0.0 if math.isnan(self.gain) else self.gain
        if gain != 0.0:
            return [f"{weight}.data.mul_({number(gain)})"]
        zero = f"{self.nn}.init.zeros_({bias})"
        return [f"{self.nn}.init.zeros_({weight})", *([zero] if biased else [f"if {bias} is not None:", "    " + zero])]

    def _constant(self, bias: str) -> str:
        value = 0.0 if math.isnan(self.bias) else self.bias
        init = f"{self.nn}.init"
        return f"{init}.constant_({bias}, {number(value)})" if value else f"{init}.zeros_({bias})"

    def recurrent(self, owner: str) -> list[str]:
        """Return the lines that draw the matrices of a recurrent layer, or shift its forget gates."""
        init = f"{self.nn}.init"
        if self.method == "forget-bias":
            value = 1.0 if math.isnan(self.bias) else self.bias
            return [
                f"for name, bias in {owner}.named_parameters():",
                '    if "bias" in name:',
                f"        forget = bias.data[{owner}.hidden_size : 2 * {owner}.hidden_size]",
                f'        {init}.constant_(forget, {number(value)} if "bias_ih" in name else 0.0)',
            ]
        return [
            f"for name, weight in {owner}.named_parameters():",
            '    if "weight_hh" in name:',
            f"        for gate in weight.data.split({owner}.hidden_size):",
            f"            {init}.orthogonal_(gate{self._gain})",
            '    elif "weight_ih" in name:',
            f"        {init}.xavier_uniform_(weight{_gain(self.input_gain)})",
            '    elif "bias" in name:',
            f"        {init}.zeros_(weight)",
        ]


def _gain(value: float) -> str:
    return "" if math.isnan(value) or value == 1.0 else f", gain={number(value)}"


def draw_of(change: Change, nn: str) -> Draw:
    """Return how a change draws weights."""
    gain, slope, bias, into = map(change.number, ("gain", "slope", "bias", "input_gain"))
    return Draw(change.word("method", "he"), gain, slope, bias, nn, input_gain=into)


def kinds_of(facts: Facts, wanted: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return which kinds of layers a run met; ``default`` when it met none."""
    met = {info.kind for info in facts.modules}
    return tuple(kind for kind in wanted if kind in met) or default


def all_biased(facts: Facts, layers: list[ModuleInfo]) -> bool:
    """Return whether each of some layers is known to have a bias."""
    biased = {parameter.name for parameter in facts.parameters}
    return bool(layers) and all(
        f"{info.name}.bias" in biased or (not info.name and "bias" in biased) for info in layers
    )


def isinstance_of(nn: str, kinds: tuple[str, ...], name: str) -> str:
    """Return the test for some kinds of layers."""
    classes = ", ".join(f"{nn}.{kind}" for kind in kinds)
    return f"isinstance({name}, {classes})" if len(kinds) == 1 else f"isinstance({name}, ({classes}))"
