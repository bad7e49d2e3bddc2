"""The layers of a model whose weights can be drawn: their fans, and the structure of their weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

from torch import Tensor, nn
from torch.nn.utils import parametrize

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMALISATIONS = (
    nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm,
)  # fmt: skip
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)


class Kind(Enum):
    """What a weight does."""

    DENSE = "dense"
    CONVOLUTION = "convolution"
    BILINEAR = "bilinear"
    EMBEDDING = "embedding"
    PROJECTION = "attention projection"


@dataclass(frozen=True, eq=False)
class Layer:
    """A weight that can be drawn.

    Attributes:
        name: Name of the weight, ``"net.0.weight"``.
        module: Its owner.
        attribute: Name of the weight in it.
        kind: What it does.
        fan_in: Inputs that one output sums over, on average over a transposed convolution's outputs.
        fan_out: Outputs that one input reaches, on average over a strided convolution's inputs.
        groups: Equal blocks of outputs with weights of their own: groups of a convolution; query, key and value.
        inputs_first: Whether the weight is laid out [in, out, …] within its groups, as transposed convolutions are.
        bias: Name of the bias in ``module``; "" if there is none.
    """

    name: str
    module: nn.Module
    attribute: str
    kind: Kind
    fan_in: float
    fan_out: float
    groups: int = 1
    inputs_first: bool = False
    bias: str = ""

    @property
    def weight(self) -> Tensor:
        """The weight as the module uses it, whether it is a parameter or made of some."""
        value: object = attrgetter(self.attribute)(self.module)
        assert isinstance(value, Tensor)
        return value

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """The parameters that the weight is, or is made of."""
        own = self.module._parameters.get(self.attribute)
        if own is not None:
            return (own,)
        if parametrize.is_parametrized(self.module, self.attribute):
            return tuple(_parametrizations(self).parameters(recurse=False))
        names = (f"{self.attribute}_{suffix}" for suffix in ("g", "v", "orig"))
        return tuple(leaf for name in names if (leaf := self.module._parameters.get(name)) is not None)

    def matrices(self, weight: Tensor) -> Tensor:
        """Return a view of a weight as [groups, out, in, taps]."""
        if self.kind is Kind.BILINEAR:
            return weight.reshape(1, weight.shape[0], -1, 1)
        blocks = weight.reshape(self.groups, -1, *weight.shape[1:])
        if self.inputs_first:
            blocks = blocks.transpose(1, 2)
        return blocks.flatten(3) if blocks.dim() > 3 else blocks.unsqueeze(-1)

    def restored(self, blocks: Tensor, like: Tensor) -> Tensor:
        """Return blocks ``[groups, out, in, taps]`` in the layout of the weight ``like``."""
        if self.kind is Kind.BILINEAR:
            return blocks.reshape(like.shape)
        if self.inputs_first:
            blocks = blocks.transpose(1, 2)
        return blocks.reshape(like.shape)

    def taps(self, weight: Tensor) -> tuple[int, ...]:
        """Return the size of the kernel per axis."""
        return tuple(weight.shape[2:]) if self.kind is Kind.CONVOLUTION else ()


def _parametrizations(layer: Layer) -> parametrize.ParametrizationList:
    found = layer.module.get_submodule(f"parametrizations.{layer.attribute}")
    assert isinstance(found, parametrize.ParametrizationList)
    return found


def layers_of(name: str, module: nn.Module) -> Iterator[Layer]:
    """Yield the layers that one module owns itself.

    Args:
        name: The module's name in the model.
        module: The module.
    """
    for types, describe in _DESCRIBERS:
        if isinstance(module, types):
            yield from describe(f"{name}." if name else "", module)
            return


def owners_of_leaves(layers: Sequence[Layer]) -> dict[int, Layer]:
    """Return the layer that each leaf belongs to, by the leaf's id.

    Of several layers that share a leaf it is the first, but an embedding only if all are.
    """
    owners: dict[int, Layer] = {}
    for layer in layers:
        for leaf in layer.leaves:
            known = owners.get(id(leaf))
            if known is None or (known.kind is Kind.EMBEDDING and layer.kind is not Kind.EMBEDDING):
                owners[id(leaf)] = layer
    return owners


def _linear(prefix: str, module: nn.Module) -> Iterator[Layer]:
    assert isinstance(module, nn.Linear)
    fans = module.in_features, module.out_features
    yield Layer(f"{prefix}weight", module, "weight", Kind.DENSE, *fans, bias=_bias(module))


def _convolution(prefix: str, module: nn.Module) -> Iterator[Layer]:
    assert isinstance(module, CONVOLUTIONS)
    taps, strides = math.prod(module.kernel_size), math.prod(module.stride)
    fan_in = module.in_channels // module.groups * taps
    fan_out = module.out_channels // module.groups * taps / strides
    yield Layer(
        f"{prefix}weight", module, "weight", Kind.CONVOLUTION, fan_in, fan_out,
        groups=module.groups, bias=_bias(module),
    )  # fmt: skip


def _transposed_convolution(prefix: str, module: nn.Module) -> Iterator[Layer]:
    """Each output is reached by kernel / stride taps per axis on average, and by one at least where it is reached."""
    assert isinstance(module, TRANSPOSED)
    taps = math.prod(module.kernel_size)
    pairs = zip(module.kernel_size, module.stride, strict=True)
    reaching = math.prod(max(1.0, kernel / stride) for kernel, stride in pairs)
    fan_in = module.in_channels // module.groups * reaching
    fan_out = module.out_channels // module.groups * taps
    yield Layer(
        f"{prefix}weight", module, "weight", Kind.CONVOLUTION, fan_in, fan_out,
        groups=module.groups, inputs_first=True, bias=_bias(module),
    )  # fmt: skip


def _bilinear(prefix: str, module: nn.Module) -> Iterator[Layer]:
    assert isinstance(module, nn.Bilinear)
    fan_in = module.in1_features * module.in2_features
    yield Layer(f"{prefix}weight", module, "weight", Kind.BILINEAR, fan_in, module.out_features, bias=_bias(module))


def _embedding(prefix: str, module: nn.Module) -> Iterator[Layer]:
    """One row is read at a time: an output sums over a single input."""
    assert isinstance(module, EMBEDDINGS)
    yield Layer(f"{prefix}weight", module, "weight", Kind.EMBEDDING, 1, module.embedding_dim)


def _attention(prefix: str, module: nn.Module) -> Iterator[Layer]:
    """Query, key and value are three maps, packed or not; the output projection is a module of its own."""
    assert isinstance(module, nn.MultiheadAttention)
    width = module.embed_dim
    bias = "in_proj_bias" if module._parameters["in_proj_bias"] is not None else ""
    if module._parameters["in_proj_weight"] is not None:
        yield Layer(
            f"{prefix}in_proj_weight", module, "in_proj_weight", Kind.PROJECTION, width, width, groups=3, bias=bias
        )
        return
    for attribute, fan_in in (("q_proj_weight", width), ("k_proj_weight", module.kdim), ("v_proj_weight", module.vdim)):
        yield Layer(f"{prefix}{attribute}", module, attribute, Kind.PROJECTION, fan_in or width, width, bias=bias)
        bias = ""  # they share one, which the first takes care of


def _bias(module: nn.Module) -> str:
    return "bias" if module._parameters.get("bias") is not None else ""


_DESCRIBERS: tuple[tuple[tuple[type[nn.Module], ...], Callable[[str, nn.Module], Iterator[Layer]]], ...] = (
    ((nn.Linear,), _linear),
    (CONVOLUTIONS, _convolution),
    (TRANSPOSED, _transposed_convolution),
    ((nn.Bilinear,), _bilinear),
    (EMBEDDINGS, _embedding),
    ((nn.MultiheadAttention,), _attention),
)
