"""Does the verdict at step 0 agree with what training then does?

Checks every architecture of ``tests/checks/architectures.py`` on its own task, loss and optimizer, then trains it at
each of its learning rates and takes the best. A run has failed when less than half of a guess's loss is gone, and is
slow below four fifths. The check agrees when it is healthy and the run did not fail; when it reports an error and the
run failed; or when it only warns and the run failed or is slow. It abstains when it is healthy and says that a check
at step 0 cannot see (post-LN without warm-up, memory over a long sequence).

    PYTHONPATH=src:. python -m benchmarks.check_agreement [--steps 300] [--seeds 2] [--only NAME] [--borderline]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tests.checks.architectures import ARCHITECTURES, BORDERLINE, Architecture
from tests.checks.tasks import TASKS

from benchmarks._results import append, share
from evengrad.checks.check import check
from evengrad.checks.result import CheckResult
from evengrad.core.finding import Severity

_TRAINED, _WELL = 0.5, 0.8  # shares of a guess's loss that are gone
_CLOSING = 20  # last losses that the end rests on
_SEES_NOT = ("post-norm",)  # notes that say so


@dataclass(frozen=True)
class Row:
    """One architecture and seed: verdict and attenuation at step 0, and what training made of it."""

    name: str
    seed: int
    verdict: str
    severity: str
    rules: str
    attenuation: float
    abstains: bool
    gone: float
    rate: float

    @property
    def outcome(self) -> str:
        """What came of the verdict."""
        if self.severity == "error":
            return "false alarm" if self.gone >= _TRAINED else "sick and failed"
        if self.severity == "warning":
            return "false warning" if self.gone >= _WELL else "warned, slow or failed"
        if self.gone >= _TRAINED:
            return "healthy and trained"
        return "abstained" if self.abstains else "missed"


def train(architecture: Architecture, rate: float, seed: int, steps: int) -> float:
    """Return the share of a guess's loss that is gone after some steps."""
    torch.manual_seed(seed)
    task, model = TASKS[architecture.task], architecture.build()
    trained = [p for p in model.parameters() if p.requires_grad]
    if architecture.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(trained, lr=rate)
    else:
        momentum = 0.9 if architecture.optimizer == "momentum" else 0.0
        optimizer = torch.optim.SGD(trained, lr=rate, momentum=momentum)
    losses: list[float] = []
    for _, (data, target) in zip(range(steps), task.batches(seed), strict=False):
        output = model(*data) if isinstance(data, tuple) else model(data)
        loss = task.loss(output, target)
        if not torch.isfinite(loss):
            return -math.inf
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    closing = sorted(losses[-_CLOSING:])
    return 1 - closing[len(closing) // 2] / task.guess


def examine(architecture: Architecture, seed: int, steps: int) -> Row:
    """Check an architecture, then train it."""
    task = TASKS[architecture.task]

    def build() -> torch.nn.Module:
        torch.manual_seed(1000 * seed + torch.initial_seed() % 1000)
        return architecture.build()

    found = check(
        build, next(task.batches(seed)), task.loss, optimizer=f"{architecture.optimizer}:{architecture.rates[-1]}"
    )
    scores = {rate: train(architecture, rate, seed, steps) for rate in architecture.rates}
    best = max(scores, key=lambda rate: scores[rate])
    return Row(
        name=architecture.name,
        seed=seed,
        verdict=found.verdict.value,
        severity=found.findings[0].severity.value if found.findings else "",
        rules=", ".join(f.rule for f in found.findings if f.severity is not Severity.INFO),
        attenuation=found.attenuation.median,
        abstains=_abstains(found),
        gone=scores[best],
        rate=best,
    )


def _abstains(found: CheckResult) -> bool:
    in_time = any(finding.message_key == "check.time-vanishes" for finding in found.findings)
    return in_time or any(note.key in _SEES_NOT for note in found.notes)


def main() -> None:
    """Run the benchmark and append its figures and rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--borderline", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for architecture in BORDERLINE if options.borderline else ARCHITECTURES:
        if options.only not in architecture.name:
            continue
        for seed in range(options.seeds):
            started = time.perf_counter()
            row = examine(architecture, seed, options.steps)
            rows.append(row)
            print(
                f"{row.outcome:20s} {row.name:34s} A {row.attenuation:+7.2f}  gone {row.gone:+.2f} at {row.rate:g}  "
                f"{row.rules}  {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in sorted({r.outcome for r in rows})}
    print(counts)
    if options.only:
        return
    name = "check_agreement/borderline" if options.borderline else "check_agreement"
    figures = [share(f"{name}/{outcome}", count, len(rows)) for outcome, count in counts.items()]
    path = append("check_agreement.jsonl", figures)
    with Path(path).with_name("check_agreement_rows.jsonl").open("a", encoding="utf-8") as out:
        for row in rows:
            known = {key: None if value in (math.inf, -math.inf) else value for key, value in asdict(row).items()}
            out.write(json.dumps(known | {"outcome": row.outcome}) + "\n")


if __name__ == "__main__":
    main()
