"""``evengrad fix``, as a user types it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.harness import Outcome, environment, evengrad, execute

SICK = """\
# A comment that stays.
import sys
import torch
from torch import nn

torch.manual_seed(3)
x = torch.randn(64, 8)
y = x[:, :1] * 0.5
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=30.0)   # far too high
for step in range(150):
    batch = torch.randint(64, (16,))
    optimizer.zero_grad()
    loss = (model(x[batch]) - y[batch]).square().mean()
    loss.backward()
    optimizer.step()
with open("result.txt", "w") as result:
    result.write(str(loss.item()))
print(f"FINAL loss={loss.item()}")
"""
SOUND = SICK.replace("lr=30.0", "lr=0.05")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SICK)
    (tmp_path / "result.txt").write_text("precious")
    return tmp_path


def fix(folder: Path, *options: str) -> tuple[Outcome, dict[str, object]]:
    report = folder.parent / "report.json"
    done = evengrad(["fix", "--json", str(report), *options, "train.py"], folder)
    return done, json.loads(report.read_text()) if report.exists() else {}


def untouched(folder: Path) -> bool:
    kept = {path.name for path in folder.iterdir()} - {".evengrad"}
    text = (folder / "train.py").read_text()
    return kept == {"train.py", "result.txt"} and text == SICK and (folder / "result.txt").read_text() == "precious"


@pytest.mark.slow
def test_a_fix_is_found_proven_and_applied_only_when_asked_to(folder: Path) -> None:
    done, report = fix(folder)
    assert done.code == 0, done.stderr
    told = report["fix"]
    assert isinstance(told, dict)
    assert report["schema"] == "evengrad.report/1"
    assert told["verified"] is True
    assert told["remedies"] == ["lower-lr"]
    assert {"arm", "verdict", "finding"} <= set(done.stdout.split())
    assert [line[0] for line in told["diff"].splitlines() if "lr=" in line] == ["-", "+"]
    assert untouched(folder)
    patched = execute([told["patched_script"]], folder)
    assert float(patched.stdout.split("=")[1]) < 0.1
    (folder / "result.txt").write_text("precious")

    again, report = fix(folder, "--apply")
    assert again.code == 0
    told = report["fix"]
    assert isinstance(told, dict)
    assert told["cost"]["runs"] == 0
    text = (folder / "train.py").read_text()
    assert text.startswith("# A comment that stays.")
    assert "lr=30.0" not in text
    assert "# far too high" in text
    kept = list((folder / ".evengrad").glob("fix-*/orig/train.py.orig"))
    assert [path.read_text() for path in kept] == [SICK]


@pytest.mark.slow
def test_a_sound_script_has_nothing_to_fix(folder: Path) -> None:
    (folder / "train.py").write_text(SOUND)
    done, report = fix(folder, "--lang", "zh-TW")
    assert done.code == 0
    assert "不需修復" in done.stdout
    assert report["verdict"] == "healthy"
    told = report["fix"]
    assert isinstance(told, dict)
    assert (told["ending"], told["trials"], told["diff"]) == ("healthy", [], "")
    assert (folder / "result.txt").read_text() == "precious"


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_users_files_and_the_next_call_goes_on(folder: Path) -> None:
    draw = random.Random(0)
    command = [sys.executable, "-m", "evengrad", "fix", "--quiet", "train.py"]
    resumed = 0
    for _ in range(4):
        process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.5, 6.0))  # the moment is what is tested
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert untouched(folder)
        resumed = len(list((folder / ".evengrad").glob("fix-*/runs/*/*/reached.json")))
    done, report = fix(folder)
    assert done.code == 0
    told = report["fix"]
    assert isinstance(told, dict)
    assert told["cost"]["resumed"] >= min(1, resumed)
    assert untouched(folder)


@pytest.mark.slow
def test_a_script_that_trains_nothing_is_said_to(folder: Path) -> None:
    (folder / "train.py").write_text("import sys\nsys.exit('give --data')\n")
    done, _ = fix(folder)
    assert done.code == 3
    assert "no optimizer step" in done.stdout
    assert "give --data" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps is 0"),
        (["--seeds", "1"], "--seeds is 1"),
        (["--minutes", "-1"], "--minutes is -1"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--control", "-2"], "--control is -2"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    folder: Path, options: list[str], message: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from evengrad.cli.main import parse

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert parse(["fix", *options, "train.py"]) == 2
    assert message in capfd.readouterr().err
    assert not os.path.exists(".evengrad")
