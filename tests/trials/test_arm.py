"""Arms: the same numbers as a plain run, whatever way they are started, and nobody else's files."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evengrad.recording.folder import read_trace
from evengrad.trials.job import Job, Target
from evengrad.trials.process import Launcher
from tests.trials.conftest import ARM
from tests.trials.programs import LONG, TRAIN, curve, plain_losses, run, write


def test_a_forked_arm_has_the_losses_of_a_plain_run_to_the_bit(launcher: Launcher, tmp_path: Path) -> None:
    target = write(tmp_path, TRAIN)
    plain = plain_losses(target)
    assert len(plain) == 30
    for watched in (True, False):
        assert [loss.hex() for loss in curve(launcher, target, watched=watched).losses] == plain


@pytest.mark.slow
def test_an_arm_in_a_fresh_process_has_them_too(tmp_path: Path) -> None:
    target = write(tmp_path, TRAIN)
    fresh = Launcher(ARM, target, fork=False)
    assert [loss.hex() for loss in curve(fresh, target).losses] == plain_losses(target)


def test_standing_still_changes_nothing(launcher: Launcher, tmp_path: Path) -> None:
    target = write(tmp_path, TRAIN)
    live = launcher.start(Job(target, ""))
    stops = [live.advance(to, LONG) for to in (3, 17, None)]
    assert [stop.curve.steps for stop in stops] == [3, 17, 30]
    assert [stop.curve.ended for stop in stops] == [False, False, True]
    assert stops[0].folder is not None
    assert read_trace(stops[0].folder).steps == 3
    live.stop()
    whole = curve(launcher, target)
    assert stops[2].curve.losses == whole.losses
    assert stops[1].curve.losses == whole.losses[:17]
    assert dict(whole.finals) == {"loss": whole.losses[-1]}


def test_a_text_is_run_in_place_of_the_file(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("RATE = 0.05\n")
    target = write(
        tmp_path, TRAIN.replace("import torch\n", "import torch\nfrom model import RATE\n", 1).replace("0.05", "RATE")
    )
    texts = {str(tmp_path / "model.py"): "RATE = 0.01\n"}
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", TRAIN.replace("0.05", "0.01"))
    assert curve(launcher, target, texts=texts).losses == curve(launcher, other).losses
    assert (tmp_path / "model.py").read_text() == "RATE = 0.05\n"
    main = {str(tmp_path / "train.py"): TRAIN.replace("0.05", "0.01")}
    assert curve(launcher, target, texts=main).losses == curve(launcher, other).losses


def test_a_module_and_its_arguments_are_run_as_python_does(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "pkg" / "train.py").write_text(TRAIN + "\nassert __name__ == '__main__' and __package__ == 'pkg'\n")
    ended = curve(launcher, Target("pkg.train", True, ("7",), str(tmp_path)))
    assert (ended.steps, ended.ended, ended.error) == (7, True, "")


@pytest.mark.parametrize("seeding", ["", "random.seed(5)\nnp.random.seed(6)\ntorch.manual_seed(7)\n"])
def test_replicates_differ_and_repeat_whether_or_not_the_script_seeds(
    launcher: Launcher, tmp_path: Path, seeding: str
) -> None:
    text = f"""
import random
import numpy as np
import torch
{seeding}
own = torch.Generator().manual_seed(9)
weight = torch.nn.Parameter(torch.tensor(1.0))
optimizer = torch.optim.SGD([weight], lr=0.0)
draws = [random.random(), np.random.rand(), np.random.default_rng(4).random(), np.random.default_rng().random(),
         torch.rand(()).item(), torch.rand((), generator=own).item()]
for draw in draws:
    (weight * draw).backward()
    optimizer.step()
"""
    target = write(tmp_path, text)
    first = curve(launcher, target).losses
    assert first == curve(launcher, target, watched=False).losses
    second = curve(launcher, target, seed=1).losses
    assert second == curve(launcher, target, seed=1).losses
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_an_error_is_an_outcome(launcher: Launcher, tmp_path: Path) -> None:
    broken = curve(launcher, write(tmp_path, TRAIN + "\nraise ValueError('no such thing')\n"))
    assert (broken.steps, broken.error) == (30, "ValueError: no such thing")
    killed = curve(launcher, write(tmp_path, TRAIN + "\nimport os\nos.kill(os.getpid(), 9)\n"))
    assert not killed.ended
    assert "the process died" in killed.error


def test_a_run_that_does_not_end_is_ended(launcher: Launcher, tmp_path: Path) -> None:
    live = launcher.start(Job(write(tmp_path, "import time\nwhile True:\n    time.sleep(0.1)\n"), ""))
    stop = live.advance(5, 0.5)
    assert stop.curve.error == "no end after 0 s"


@pytest.mark.parametrize("overlay", [True, False])
def test_what_an_arm_writes_never_reaches_the_users_files(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlay: bool
) -> None:
    (tmp_path / "best.pt").write_bytes(b"precious")
    (tmp_path / "log.txt").write_text("old\n")
    (tmp_path / "runs").mkdir()
    text = """
import os
import torch
torch.save({"a": 1}, "best.pt")
assert torch.load("best.pt") == {"a": 1}
with open("log.txt", "a") as log:
    log.write("new")
assert open("log.txt").read() == "old\\nnew"
open("runs/new.txt", "w").close()
assert os.path.basename(__file__) == "train.py"
assert os.path.exists(os.path.join(os.path.dirname(__file__), "log.txt"))
"""
    if overlay:
        stop = run(launcher, write(tmp_path, text))
        if stop.sheltered != "overlay":
            pytest.skip("this kernel allows no overlay")
    else:
        # a root above the scratch folder cannot be overlaid
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        stop = run(launcher, write(tmp_path, text))
        assert stop.sheltered == "links"
    assert stop.curve.error == ""
    assert (tmp_path / "best.pt").read_bytes() == b"precious"
    assert (tmp_path / "log.txt").read_text() == "old\n"
    assert list((tmp_path / "runs").iterdir()) == []


def test_without_an_overlay_the_users_files_cannot_be_reached_by_another_way(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "best.txt").write_text("precious")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for line in ("open(path, 'w')", "os.remove(path)", "os.rename('train.py', path)"):
        text = f"import os\npath = os.path.join(os.path.dirname(__file__), 'best.txt')\n{line}\n"
        ended = curve(launcher, write(tmp_path, text), since=time.time() + 60)
        assert ended.error.startswith("PermissionError: evengrad fix: an arm may not write"), line
        assert (tmp_path / "best.txt").read_text() == "precious"


def test_runs_die_with_whoever_ordered_them(tmp_path: Path) -> None:
    target = write(tmp_path, "import time\nopen('/proc/self/comm').read()\ntime.sleep(600)\n")
    own = Launcher(ARM, target)
    live = own.start(Job(target, ""))
    live._connection.sendall(b'{"to": 1}\n')
    pid = int(str(live._receive(time.monotonic() + LONG)["pid"]))
    own.close()
    limit = time.monotonic() + 10
    while (outlived := _runs(pid)) and time.monotonic() < limit:
        time.sleep(0.02)
    if outlived:
        os.kill(pid, signal.SIGKILL)
    assert not outlived
    live.stop()


def _runs(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_several_optimizers_that_take_turns_make_one_step(launcher: Launcher, tmp_path: Path) -> None:
    text = """
import torch
a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
one, two = torch.optim.SGD([a], lr=0.1), torch.optim.SGD([b], lr=0.1)
for step in range(6):
    for parameter, optimizer in ((a, one), (b, two)):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()
"""
    assert curve(launcher, write(tmp_path, text)).steps == 6
    assert replace(curve(launcher, write(tmp_path, text), to=4), losses=()).error == ""
