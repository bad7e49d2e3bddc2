"""``evengrad run`` on scripts that train: what it writes, what it says, and with which code it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.harness import Outcome, environment, evengrad, execute

SICK = """
import os, sys
import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
net = nn.Sequential(*[m for _ in range(10) for m in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
x = torch.randn(64, 16)
y = (x[:, :1] > 0).float()
for step in range(40):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
print(loss.item(), sum(p.double().sum().item() for p in net.parameters()), torch.rand(1).item())
os.chdir("/")
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""

EXPLODING = """
import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
layers = [nn.Linear(32, 32) for _ in range(24)]
for layer in layers:
    nn.init.normal_(layer.weight, std=0.55)
net = nn.Sequential(*[m for layer in layers for m in (layer, nn.ReLU())], nn.Linear(32, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=1e-7)
x, y = torch.randn(64, 32), torch.randn(64, 1)
for step in range(40):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
    print(step, loss.item(), flush=True)
"""


@dataclass(frozen=True)
class Run:
    """A finished run of a script, plain and watched."""

    folder: Path
    plain: Outcome
    watched: Outcome

    @property
    def run_folder(self) -> Path:
        (path,) = (self.folder / "kept" / ".evengrad").glob("[!.]*")
        return path


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a net whose gradient vanishes; the script leaves its folder and exits with 3."""
    folder = tmp_path_factory.mktemp("sick")
    (folder / "train.py").write_text(SICK)
    plain = execute(["train.py", "3"], folder)
    options = ["--json", "out.json", "--html", "out.html", "-o", "kept", "--fail-on", "warning"]
    return Run(folder, plain, evengrad(["run", *options, "train.py", "3"], folder))


@pytest.mark.slow
def test_watched_script_computes_prints_and_exits_as_ever(sick: Run) -> None:
    assert sick.plain.code == 3
    assert (sick.watched.stdout, sick.watched.code) == (sick.plain.stdout, 3)


@pytest.mark.slow
def test_report_is_on_stderr_and_names_the_fault_first(sick: Run) -> None:
    lines = sick.watched.stderr.splitlines()
    assert lines[0].startswith("evengrad [SICK]")
    assert "error vanishing-gradient" in sick.watched.stderr
    assert "explain vanishing-gradient" in sick.watched.stderr


@pytest.mark.slow
def test_reports_are_written_where_asked_though_the_script_changed_folder(sick: Run) -> None:
    report = json.loads((sick.folder / "out.json").read_text())
    assert (report["schema"], report["verdict"], report["steps"]) == ("evengrad.report/1", "sick", 40)
    assert report["findings"][0]["rule"] == "vanishing-gradient"
    assert json.loads((sick.run_folder / "report.json").read_text()) == report
    html = (sick.folder / "out.html").read_text()
    assert "vanishing-gradient" in html
    assert (sick.run_folder / "report.html").read_text() == html
    assert {"run.json", "events.jsonl", "trace"} <= {path.name for path in sick.run_folder.iterdir()}


@pytest.mark.slow
def test_run_folder_is_reported_again_with_the_same_findings(sick: Run) -> None:
    again = evengrad(["report", "--format", "json", str(sick.run_folder)], sick.folder)
    assert again.code == 1
    kept = json.loads((sick.folder / "out.json").read_text())
    assert [(f["rule"], f["severity"]) for f in json.loads(again.stdout)["findings"]] == [
        (f["rule"], f["severity"]) for f in kept["findings"]
    ]
    drawn = evengrad(["report", str(sick.run_folder)], sick.folder)
    assert drawn.stdout.startswith("evengrad [SICK]")
    assert drawn.stderr == ""
    chinese = evengrad(["report", "--format", "markdown", "--lang", "zh-TW", str(sick.run_folder)], sick.folder)
    assert "梯度消失" in chinese.stdout


@pytest.mark.slow
def test_truncated_part_is_said_and_the_rest_is_reported(sick: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    subprocess.run(["cp", "-r", str(sick.run_folder), str(copy)], check=True)
    part = next((copy / "trace").glob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    shown = evengrad(["report", str(copy)], tmp_path)
    assert shown.code in (0, 1)
    assert shown.stdout.startswith("evengrad [")
    (line,) = shown.stderr.splitlines()
    assert line.startswith("evengrad: ")
    assert part.name in line


@pytest.mark.slow
def test_fail_on_turns_success_into_1_and_quiet_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SICK)
    seen = evengrad(["run", "--quiet", "--fail-on", "error", "train.py"], tmp_path)
    assert (seen.code, seen.stderr) == (1, "")
    assert len(list((tmp_path / ".evengrad").glob("*/report.html"))) == 1


def test_switched_off_by_the_environment_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('trained')")
    seen = evengrad(["run", "--fail-on", "warning", "train.py"], tmp_path, EVENGRAD="0")
    assert (seen.code, seen.stderr) == (0, "")
    assert not (tmp_path / ".evengrad").exists()


@pytest.mark.slow
def test_explosion_is_said_while_all_is_finite_and_only_once(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(EXPLODING)
    command = [sys.executable, "-m", "evengrad", "run", "train.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    early = [line for line in lines if line.startswith("evengrad: step ") and "grows by" in line]
    assert len(early) == 1
    assert lines.index(early[0]) < lines.index("1 nan")
    (run,) = (tmp_path / ".evengrad").glob("[!.]*")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    warned = [event["details"]["rule"] for event in events if event["kind"] == "early-warning"]
    assert warned[0] == "exploding-gradient"
    assert len(warned) == len(set(warned))


@pytest.mark.slow
def test_script_that_fails_in_training_keeps_its_traceback_and_gets_its_report(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SICK.replace("print(loss", "1 / 0\nprint(loss"))
    plain, watched = execute(["train.py"], tmp_path), evengrad(["run", "train.py"], tmp_path)
    assert (watched.stdout, watched.code) == (plain.stdout, 1)
    assert watched.stderr.startswith(plain.stderr)
    assert "evengrad [SICK]" in watched.stderr
    (run,) = (tmp_path / ".evengrad").glob("[!.]*")
    assert '"script-error"' in (run / "events.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["thread", "child"])
def test_training_elsewhere_is_reported_or_explained(where: str, tmp_path: Path) -> None:
    body = SICK[: SICK.index("print(loss")].strip().replace("\n", "\n    ")
    starts = {
        "thread": "import threading\nthreading.Thread(target=train).start()",
        "child": "import multiprocessing as m\np = m.get_context('fork').Process(target=train)\np.start()\np.join()",
    }
    (tmp_path / "train.py").write_text(f"def train():\n    {body}\n{starts[where]}\n")
    seen = evengrad(["run", "train.py"], tmp_path)
    assert seen.code == 0
    if where == "thread":
        assert "evengrad [SICK]" in seen.stderr
    else:
        assert "evengrad [UNKNOWN]" in seen.stderr
        assert "child processes did the work" in seen.stderr


@pytest.mark.slow
def test_forked_child_never_reports(tmp_path: Path) -> None:
    fork = "pid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint(loss"
    (tmp_path / "train.py").write_text(SICK.replace("print(loss", fork))
    seen = evengrad(["run", "train.py"], tmp_path)
    assert seen.stdout.count("\n") == 2
    assert seen.stderr.count("evengrad [") == 1


@pytest.mark.slow
def test_ctrl_c_in_training_reports_and_dies_of_it(tmp_path: Path) -> None:
    endless = SICK.replace("range(40)", "__import__('itertools').count()").replace(
        "    optimizer.step()", "    optimizer.step()\n    if step == 30: print('ready', flush=True)"
    )
    (tmp_path / "train.py").write_text(endless)
    process = subprocess.Popen(
        [sys.executable, "-m", "evengrad", "run", "train.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert errors.startswith("Traceback (most recent call last):")
    assert errors.index("KeyboardInterrupt") < errors.index("evengrad [SICK]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print('no training here')", "never imported torch"),
        ("import sys; sys.exit('no data')", "never imported torch"),
        ("1 / 0", "ended with ZeroDivisionError before its first step"),
    ],
)
def test_nothing_trained_is_unknown_with_the_likely_reason(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(text)
    plain, seen = execute(["train.py"], tmp_path), evengrad(["run", "train.py"], tmp_path)
    assert (seen.stdout, seen.code) == (plain.stdout, plain.code)
    assert seen.stderr.startswith(plain.stderr)
    assert "evengrad [UNKNOWN]" in seen.stderr
    assert seen.stderr.splitlines()[-1].startswith("evengrad: likely reason: ")
    assert reason in seen.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [(["-o", "/proc/self"], "cannot make a run folder"), (["--json", "/dev/full"], "No space left on device")],
)
def test_disk_that_takes_nothing_costs_one_line(options: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print('trained'); sys.exit(5)")
    seen = evengrad(["run", "--quiet", *options, "train.py"], tmp_path)
    assert (seen.stdout, seen.code) == ("trained\n", 5)
    (line,) = seen.stderr.splitlines()
    assert line.startswith("evengrad: ")
    assert words in line


@pytest.mark.slow
def test_run_folder_that_is_removed_meanwhile_costs_one_line(tmp_path: Path) -> None:
    remove = "__import__('shutil').rmtree('.evengrad')\nprint(loss"
    (tmp_path / "train.py").write_text(SICK.replace("print(loss", remove))
    seen = evengrad(["run", "--quiet", "train.py"], tmp_path)
    assert seen.code == 0
    (line,) = seen.stderr.splitlines()
    assert line.startswith("evengrad: recording to ")


def test_start_costs_less_than_the_script_would_notice(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time; print(time.process_time())")
    spent = []
    for _ in range(3):
        plain = float(execute(["train.py"], tmp_path).stdout)
        spent.append(float(evengrad(["run", "--quiet", "train.py"], tmp_path).stdout) - plain)
    assert min(spent) < 0.3
