"""What every test finds, and leaves behind, as it was."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator

# Before anything loads a thread pool, and for every process that a test starts: on a shared machine, threads that spin
# while they wait cost more than they bring.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ.pop("EVENGRAD", None)

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _same_random_numbers() -> Iterator[None]:
    """Start every test from the same random state, whichever tests ran before it, and put the old one back."""
    kept, kept_numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    kept_torch = torch.get_rng_state() if torch is not None else None
    random.seed(0)
    np.random.seed(0)
    if torch is not None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
    yield
    random.setstate(kept)
    np.random.set_state(kept_numpy)
    if torch is not None and kept_torch is not None:
        torch.set_rng_state(kept_torch)


@pytest.fixture(autouse=True)
def _nobody_left_watching() -> Iterator[None]:
    """Fail the test that leaves a monitor installed: it would watch all tests after it."""
    yield
    watching = sys.modules.get("evengrad.observation.watch")
    if watching is not None:
        left = list(watching._active)
        for monitor in left:
            monitor.close()
        watching._active.clear()
        assert not left, "the test left a monitor installed"
