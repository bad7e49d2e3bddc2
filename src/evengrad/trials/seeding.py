"""Replicates of a program that seeds itself: every seed that it sets is moved by the number of the replicate."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Seeder = Callable[..., Any]


def seed_replicate(replicate: int) -> None:
    """Make this process a replicate of the program that it is about to run.

    All generators start from the replicate's number, so that a program that never seeds is the same in all arms, and
    every seed that the program sets later is moved by it. In replicate 0 a program that seeds itself gets exactly the
    seeds that it asks for; a call that asks for fresh entropy gets a fixed seed in every replicate, since arms that
    draw different numbers cannot be compared.

    Args:
        replicate: Its number; not negative.
    """
    import numpy as np
    import torch

    random.seed(replicate)
    np.random.seed(replicate)
    torch.manual_seed(replicate)
    random.seed = _moved(random.seed, replicate)
    np.random.seed = _moved(np.random.seed, replicate)
    np.random.default_rng = _moved(np.random.default_rng, replicate)
    if replicate == 0:
        return
    _move_torch(replicate)


def _move_torch(by: int) -> None:
    """Move the seeds that are set through torch."""
    import torch

    plain, every_device = torch.manual_seed, torch.cuda.manual_seed_all
    nested = False

    def manual_seed(seed: int) -> torch.Generator:
        nonlocal nested
        nested = True
        try:
            return plain(int(seed) + by)
        finally:
            nested = False

    def manual_seed_all(seed: int) -> None:
        # torch.manual_seed calls this one, with a seed that is moved already
        every_device(int(seed) if nested else int(seed) + by)

    torch.manual_seed = torch.random.manual_seed = manual_seed
    torch.cuda.manual_seed = _moved(torch.cuda.manual_seed, by)
    torch.cuda.manual_seed_all = torch.cuda.random.manual_seed_all = manual_seed_all
    torch.Generator = _generator(by)  # type: ignore[misc, assignment]


def _moved(seed: Seeder, by: int) -> Seeder:
    """Return a seeding function whose whole-number seeds are moved, and whose missing ones are fixed."""

    def moved(*arguments: object, **named: object) -> object:
        values = [*arguments, *named.values()]
        if not values or values[0] is None:
            return seed(by)
        first = values[0]
        if isinstance(first, bool) or not isinstance(first, int):
            return seed(*arguments, **named)
        if arguments:
            return seed(first + by, *arguments[1:], **named)
        return seed(**{name: value + by if value is first else value for name, value in named.items()})

    return moved


def _generator(by: int) -> type:
    """Return a class of generators whose seeds are moved: the methods of torch's own cannot be replaced."""
    import torch

    class Generator(torch.Generator):
        """torch's generator, as a replicate sees it."""

        def manual_seed(self, seed: int) -> torch.Generator:
            """Set the seed, moved."""
            return super().manual_seed(seed + by)

    return Generator
