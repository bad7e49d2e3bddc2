"""The synthetic data sets are fixed by their seed and have the scale they claim."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from evengrad.cases import _data
from evengrad.cases._data import Pairs

SETS: dict[str, Callable[[int], Pairs]] = {
    "clusters": _data.clusters,
    "checkerboard": _data.checkerboard,
    "spirals": _data.spirals,
    "waves": _data.waves,
    "bars": _data.bars,
    "recall": lambda seed: _data.recall(seed, length=7),
    "echo": lambda seed: _data.echo(seed, length=7),
    "babble": _data.babble,
}


@pytest.mark.parametrize("name", sorted(SETS))
def test_data_depend_on_their_own_seed_alone(name: str) -> None:
    torch.manual_seed(0)
    first = SETS[name](5)
    torch.manual_seed(1)
    again, other = SETS[name](5), SETS[name](6)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize("name", sorted(SETS))
def test_making_data_leaves_the_global_generator_alone(name: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    SETS[name](5)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["clusters", "checkerboard", "waves", "bars", "echo"])
def test_inputs_have_unit_size(name: str) -> None:
    rms = SETS[name](0).x.pow(2).mean().sqrt().item()
    assert rms == pytest.approx(1.0, abs=0.15)  # ten random centres: one part in ten


@pytest.mark.parametrize("name", ["waves", "echo"])
def test_regression_targets_have_unit_variance(name: str) -> None:
    assert SETS[name](0).y.std().item() == pytest.approx(1.0, abs=0.15)


def test_recall_asks_for_the_first_symbol() -> None:
    x, y = _data.recall(0, length=9)
    assert torch.equal(x[:, 0].argmax(1), y)


def test_babble_targets_are_the_next_tokens() -> None:
    x, y = _data.babble(0)
    assert torch.equal(x[:, 1:], y[:, :-1])


def test_echo_sums_the_last_three_steps() -> None:
    x, y = _data.echo(0, length=6)
    torch.testing.assert_close(y, (x[:, 3] + x[:, 4] + x[:, 5]) / 3**0.5)
