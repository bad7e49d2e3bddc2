"""A fault of ours never reaches the user's run: it blows the fuse, once."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch

logger = logging.getLogger(__name__)

R = TypeVar("R")


class Fused(Protocol):
    """An object whose methods can be guarded."""

    off: bool

    def blow(self, where: str, error: Exception) -> None:
        """Switch off, and say so once."""


def guarded(method: Callable[..., R]) -> Callable[..., R | None]:
    """Make a method do nothing once its object is off, and switch the object off when it raises."""

    @functools.wraps(method)
    def safe(self: Fused, *args: Any, **kwargs: Any) -> R | None:
        if self.off:
            return None
        try:
            # What we compute is no business of the user's function modes and tensor subclasses.
            with torch._C.DisableTorchFunction():
                return method(self, *args, **kwargs)
        except Exception as error:
            self.blow(method.__name__, error)
            return None

    return safe


def dispatch_mode_active() -> bool:
    """Return whether the user's code has a dispatch mode in force, which would see every operation of ours."""
    return torch._C._len_torch_dispatch_stack() > 0


def say(text: str) -> None:
    """Write one line to the process's own stderr, whatever the user's code has put in its place."""
    stream = sys.__stderr__
    if stream is None:
        return
    try:
        stream.write(f"evengrad: {text}\n")
        stream.flush()
    except (OSError, ValueError) as error:  # closed, or a full pipe
        logger.debug("cannot write to stderr: %s", error)
