"""Programs that tests run as arms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from evengrad.core.trial import Curve
from evengrad.trials.job import Job, Target
from evengrad.trials.process import Launcher, Stop

LONG = 60.0  # seconds that any of them may take

TRAIN = """
import sys
import torch
from torch import nn

torch.manual_seed(3)
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 30
x = torch.randn(64, 8)
y = x[:, :1] * 0.5
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(steps):
    batch = torch.randint(64, (16,))
    optimizer.zero_grad()
    loss = (model(x[batch]) - y[batch]).square().mean()
    loss.backward()
    optimizer.step()
    print("LOSS", float(loss.item()).hex())
print(f"FINAL loss={loss.item()}")
"""


def write(folder: Path, text: str, name: str = "train.py") -> Target:
    """Write a script and return it as a target."""
    (folder / name).write_text(text)
    return Target(name, False, (), str(folder))


def run(launcher: Launcher, target: Target, to: int | None = None, **job: object) -> Stop:
    """Run a target up to a step and end it; the trace and outputs are gone with it."""
    live = launcher.start(Job(target, "", **job))  # type: ignore[arg-type]
    try:
        return live.advance(to, LONG)
    finally:
        live.stop()


def curve(launcher: Launcher, target: Target, to: int | None = None, **job: object) -> Curve:
    """Return the losses of a target."""
    return run(launcher, target, to, **job).curve


def plain_losses(target: Target) -> list[str]:
    """Return the losses that a script prints under plain python, to the bit."""
    command = [sys.executable, target.name, *target.arguments]
    done = subprocess.run(command, cwd=target.folder, capture_output=True, text=True, check=True, env=dict(os.environ))
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("LOSS")]
