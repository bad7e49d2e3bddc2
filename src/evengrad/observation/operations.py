"""What autograd's operations are, for naming causes."""

from __future__ import annotations

import re
from functools import lru_cache

from evengrad.core.ledger import EntryKind

_SUFFIX = re.compile(r"Backward\d*$")

# Operations that only rearrange or convert: a weight seen through them is still that weight.
VIEWS = frozenset(
    "T View Transpose Permute ToCopy Expand Alias Slice Select Reshape ReshapeAlias Unsqueeze Squeeze AsStrided "
    "UnsafeView "
    "Clone Detach SplitWithSizes Split UnsafeSplit Unbind Cat Stack Contiguous Flip Copy Repeat".split()
)
# Arithmetic by which weights are built from parameters (weight norm, spectral norm, scaling).
WEIGHT_ARITHMETIC = frozenset(
    "Mul Div Add Sub Neg Norm LinalgVectorNorm Pow Sqrt Exp Sum Mean WeightNormInterface Sigmoid Tanh Softplus "
    "Dot Mv AccumulateGrad MaskedFill Tril Triu LinalgMatrixExp".split()
)
_WEIGHT = frozenset(
    "Addmm Mm Linear MkldnnLinear Convolution MkldnnConvolution ConvolutionOverrideable CudnnConvolution ThnnConv2D "
    "SlowConvDilated2D Embedding EmbeddingBag Bmm Baddbmm Addmv Mv Bilinear Addbmm".split()
)
_RECURRENT = frozenset("MkldnnRnnLayer CudnnRnn MiopenRnn ThnnFusedLstmCell ThnnFusedGruCell".split())
_ACTIVATION = frozenset(
    "Sigmoid Tanh Relu Threshold LeakyRelu Elu Gelu Silu Mish Softplus LogSigmoid Hardtanh Hardswish "
    "Hardsigmoid Hardshrink "
    "Softshrink PreluKernel Prelu RreluWithNoise Erf Sin Cos Celu Selu Glu Sinh Cosh Asinh Atan Clamp ClampMin "
    "ClampMax".split()
)
_NORMALISATION = frozenset(
    "NativeLayerNorm NativeBatchNorm CudnnBatchNorm NativeGroupNorm FusedRmsNorm RmsNorm BatchNorm MiopenBatchNorm "
    "NativeBatchNormLegit".split()
)
_ATTENTION = frozenset(
    "Softmax SafeSoftmax ScaledDotProductFlashAttention ScaledDotProductEfficientAttention "
    "ScaledDotProductFlashAttentionForCpu "
    "ScaledDotProductFusedAttentionOverrideable ScaledDotProductCudnnAttention FlexAttention".split()
)
_SHAPE = VIEWS | frozenset(
    "Mean Sum AvgPool2D AvgPool1D AdaptiveAvgPool2D MaxPool2DWithIndices MaxPool2D AdaptiveMaxPool2D "
    "MkldnnMaxPool2D Index "
    "IndexSelect Gather Scatter ConstantPadNd Pad Upsample UpsampleNearest2D UpsampleBilinear2D NativeDropout "
    "FusedDropout Div Mul Add Sub Neg Amax MaskedFill Where Rsub IndexAdd CopySlices Max Min PixelShuffle".split()
)


@lru_cache(maxsize=4096)
def operation_name(node_name: str) -> str:
    """Return an operation's name from its autograd node's: ``SigmoidBackward0`` is ``Sigmoid``."""
    return _SUFFIX.sub("", node_name.rpartition("::")[2])


def kind_of(operation: str, module_kind: str, *, has_weight: bool, leaf_activation: bool) -> EntryKind:
    """Return what an operation is.

    Args:
        operation: Name of the operation.
        module_kind: Class name of the module in which it runs.
        has_weight: Whether one of its operands is a weight.
        leaf_activation: Whether the module is one of torch's activation modules.
    """
    if operation in _RECURRENT:
        return EntryKind.RECURRENT
    if has_weight:
        return EntryKind.WEIGHT
    if operation in _NORMALISATION or "Norm" in module_kind:
        return EntryKind.NORMALISATION
    if operation in _ACTIVATION or leaf_activation:
        return EntryKind.ACTIVATION
    if operation in _ATTENTION or operation in ("Bmm", "Baddbmm", "Mm"):
        return EntryKind.ATTENTION
    return EntryKind.SHAPE if operation in _SHAPE else EntryKind.OTHER


def is_activation(operation: str) -> bool:
    """Return whether an operation is an element-wise non-linearity."""
    return operation in _ACTIVATION


def can_hold_weight(operation: str) -> bool:
    """Return whether an operation with a matrix operand is a layer, not a scaling, shift or rearrangement."""
    if operation in _WEIGHT or operation in _RECURRENT:
        return True
    known = VIEWS | WEIGHT_ARITHMETIC | _ACTIVATION | _NORMALISATION | _ATTENTION | _SHAPE
    return operation not in known


def is_recurrent(operation: str) -> bool:
    """Return whether an operation is a fused recurrent kernel."""
    return operation in _RECURRENT


def is_weight(operation: str) -> bool:
    """Return whether an operation multiplies data by a weight when it has one."""
    return operation in _WEIGHT
