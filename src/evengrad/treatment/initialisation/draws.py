"""Random weights: from a generator of the user's, or from a private one that leaves the user's numbers alone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_EXACT = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def private_generator() -> torch.Generator:
    """Return a generator seeded from the state of torch's global one, which is neither advanced nor repeated.

    The same ``torch.manual_seed`` gives the same weights; the numbers that the user draws next are those that would
    have come anyway, and none of them is in the weights.
    """
    state = torch.get_rng_state().numpy().tobytes()
    seed = int.from_bytes(hashlib.sha256(state).digest()[:8], "little") >> 1
    return torch.Generator().manual_seed(seed)


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """Put the random state of Python and of torch, on every device in use, back at the end."""
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = list(range(torch.cuda.device_count())) if in_use else []
    kept = random.getstate()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(kept)


def normal(like: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Return entries from N(0, std^2) in the shape, dtype and device of ``like``; E |w|^2 = std^2 if it is complex."""
    return _finished(_blank(like, generator).normal_(0.0, std, generator=generator), like)


def uniform(like: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Return entries from U(-sqrt(3) std, sqrt(3) std); complex entries have such parts of half the variance."""
    bound = 3**0.5 * std
    blank = _blank(like, generator)
    if blank.is_complex():
        parts = torch.view_as_real(blank)
        parts.uniform_(-bound / 2**0.5, bound / 2**0.5, generator=generator)
    else:
        blank.uniform_(-bound, bound, generator=generator)
    return _finished(blank, like)


def orthogonal(matrices: Tensor, gain: float, generator: torch.Generator) -> Tensor:
    """Return ``gain`` times a matrix of orthonormal rows or columns, whichever are fewer, for each leading block.

    Uniform over orthogonal matrices (Haar): the signs of R's diagonal are taken out of Q. A square block is drawn
    like ``torch.nn.init.orthogonal_`` draws it.

    Args:
        matrices: Gives shape ``[…, out, in]``, dtype and device.
        gain: Factor.
        generator: Source of randomness.

    Source:
        Saxe, McClelland and Ganguli, ICLR 2014; Mezzadri, Notices of the AMS 2007 (signs).
    """
    rows, columns = matrices.shape[-2:]
    drawn = _blank(matrices, generator).normal_(0.0, 1.0, generator=generator).reshape(-1, rows, columns)
    wide = rows < columns
    factor, upper = torch.linalg.qr(drawn.mT if wide else drawn)
    diagonal = upper.diagonal(dim1=-2, dim2=-1)
    phases = diagonal / diagonal.abs()
    factor = factor * phases.unsqueeze(-2)
    return _finished(gain * (factor.mT if wide else factor).reshape(matrices.shape), matrices)


def delta_orthogonal(blocks: Tensor, gain: float, taps: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return kernels that are orthogonal at their centre tap and 0 elsewhere.

    Args:
        blocks: Gives shape ``[groups, out, in, taps]``, dtype and device.
        gain: Factor.
        taps: Size of the kernel per axis.
        generator: Source of randomness.

    Source:
        Xiao et al., ICML 2018, section 3.3 and algorithm 1.
    """
    kernel = torch.zeros_like(blocks, memory_format=torch.contiguous_format)
    centre = 0
    for size in taps:
        centre = centre * size + size // 2
    kernel[..., centre] = orthogonal(blocks[..., 0], gain, generator)
    return kernel


def centred(blocks: Tensor) -> Tensor:
    """Return weights whose sum over the inputs of each output and tap is 0, of the same variance.

    A mean that all inputs share then adds nothing. Where an output has a single input per tap, the sum over taps is 0.

    Args:
        blocks: Weights ``[groups, out, in, taps]``.

    Source:
        Qiao et al., Weight Standardization, 2019; Brock, De and Smith, ICLR 2021; here only at initialisation.
    """
    axis = 2 if blocks.shape[2] > 1 else 3
    count = blocks.shape[axis]
    if count < 2:
        return blocks
    exact = blocks.to(torch.float32) if blocks.dtype not in _EXACT else blocks
    spread = exact - exact.mean(dim=axis, keepdim=True)
    scaled: Tensor = spread * (count / (count - 1)) ** 0.5
    return scaled.to(blocks.dtype)


def _blank(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return an uninitialised tensor on the generator's device, in a dtype exact enough to compute in."""
    dtype = like.dtype
    if dtype not in _EXACT:
        dtype = torch.complex64 if like.is_complex() else torch.float32
    return torch.empty(like.shape, dtype=dtype, device=generator.device)


def _finished(drawn: Tensor, like: Tensor) -> Tensor:
    return drawn.to(device=like.device, dtype=like.dtype)
