"""Every example is an ordinary script: it runs on one core in seconds and shows what it is there to show."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 60  # a limit against hanging, with room for a loaded machine; each takes two to four seconds


@cache
def output_of(name: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "EVENGRAD": "0"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def losses_of(name: str) -> list[float]:
    return [float(found) for found in re.findall(r"[lL]oss:? (\S+?),?(?:\s|$)", output_of(name))]


def test_digits_sigmoid_stays_at_chance() -> None:
    losses = losses_of("digits_sigmoid.py")
    assert len(losses) == 10
    assert abs(losses[-1] - math.log(10)) < 0.05


def test_digits_healthy_learns() -> None:
    losses = losses_of("digits_healthy.py")
    assert losses[-1] < 0.2 < 1.0 < losses[0]


def test_seed_clipping_prints_one_line_per_epoch() -> None:
    lines = output_of("seed_clipping.py").splitlines()
    assert [line.split(",")[0] for line in lines] == [f"Epoch {n}" for n in range(1, 101)]
    assert all(0 < loss < 3 for loss in losses_of("seed_clipping.py"))


def test_rnn_exploding_starts_huge_and_ends_not_a_number() -> None:
    losses = losses_of("rnn_exploding.py")
    assert math.isfinite(losses[0])
    assert losses[0] > 1e6
    assert math.isnan(losses[-1])


def test_char_transformer_learns() -> None:
    losses = losses_of("char_transformer.py")
    assert losses[-1] < 2.3 < losses[0]


def test_frozen_encoder_is_worse_than_the_same_network_connected() -> None:
    source = (EXAMPLES / "frozen_encoder.py").read_text(encoding="utf-8")
    program = source.replace(".detach()", "")
    assert program != source
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=True)
    connected = [float(found) for found in re.findall(r"loss (\S+)", done.stdout)]
    assert connected[-1] < 0.5 * losses_of("frozen_encoder.py")[-1]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example_does_not_know_evengrad(name: str) -> None:
    assert "evengrad" not in (EXAMPLES / name).read_text(encoding="utf-8")
