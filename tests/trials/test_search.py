"""The search, on small programs and plans made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from evengrad.core.finding import Diagnosis, Verdict
from evengrad.core.plan import Act, Change, Plan, Risk
from evengrad.core.trial import Outcome, Symptom
from evengrad.patches._tree import load_tree
from evengrad.trials.candidate import Candidate
from evengrad.trials.diagnosing import Sick, examine
from evengrad.trials.job import Target
from evengrad.trials.process import Launcher
from evengrad.trials.runs import Clock, Runs, Wanted
from evengrad.trials.search import Search
from evengrad.trials.settings import Settings
from evengrad.trials.store import Store
from tests.trials.programs import TRAIN, write

# Diverges: the largest rate that the curvature allows lies near 1.
DIVERGES = TRAIN.replace("lr=0.05", "lr=30.0")
LOWER = Plan((Change("lower-lr", Act.OPTIMIZE, Risk.OPTIMIZER, (("lr", 0.05),)),))
LOWER_A_LITTLE = Plan((Change("lower-lr", Act.OPTIMIZE, Risk.OPTIMIZER, (("lr", 29.0),)),))
CLIP = Change("clip-norm", Act.CLIP, Risk.OPTIMIZER, (("kind", "norm"), ("threshold", 100.0)))
SMALL = Settings(first_look=30, least_rung=10)


MakeRuns = Callable[..., Runs]


@pytest.fixture
def runs(launcher: Launcher, tmp_path: Path) -> Iterator[MakeRuns]:
    made: list[Runs] = []

    def make(target: Target, seconds: float | None = None) -> Runs:
        made.append(Runs(launcher, target, Store(tmp_path / "store"), Clock(seconds), jobs=2))
        return made[-1]

    yield make
    for item in made:
        item.close()


def search(
    runs: MakeRuns, folder: Path, plans: Sequence[Plan], text: str = DIVERGES
) -> tuple[Candidate | None, Search, Sick]:
    target = write(folder, text)
    asked = runs(target)
    sick = examine(asked, SMALL)
    done: set[int] = set()

    def prescribe(diagnosis: Diagnosis) -> Sequence[Plan]:
        # a repair that exposes the next finding is followed by nothing here
        first = not done
        done.add(1)
        return plans if first else ()

    made = Search(asked, sick, load_tree([target.file]), settings=SMALL, prescribe=prescribe, stage=lambda stage: None)
    return made.run(), made, sick


def test_what_repairs_is_proven_on_seeds_that_did_not_choose_it(runs: MakeRuns, tmp_path: Path) -> None:
    chosen, made, sick = search(runs, tmp_path, [LOWER_A_LITTLE, LOWER])
    assert sick.diagnosis.verdict is Verdict.SICK
    assert chosen is not None
    assert chosen.plan == LOWER
    assert chosen.outcome is Outcome.BETTER
    assert chosen.symptom is Symptom.GONE
    assert chosen.effect is not None
    assert chosen.effect.seeds == 3
    assert sorted(chosen.curves) == [0, 1, 2, 3]
    names = [(arm.name, arm.outcome) for arm in made.results()]
    assert names[:2] == [("nothing", None), ("another seed", None)]
    assert (tmp_path / "train.py").read_text() == DIVERGES


def test_a_part_that_is_not_needed_is_dropped(runs: MakeRuns, tmp_path: Path) -> None:
    chosen, _, _ = search(runs, tmp_path, [LOWER.plus(Plan((CLIP,)))])
    assert chosen is not None
    assert chosen.plan == LOWER


def test_a_mistake_in_the_loop_is_put_right_although_the_loss_is_no_lower(runs: MakeRuns, tmp_path: Path) -> None:
    clip = "torch.nn.utils.clip_grad_norm_(model.parameters(), 100.0)\n    "
    early = TRAIN.replace("loss.backward()", clip + "loss.backward()")
    late = Change("clip-before-step", Act.REORDER, Risk.LOOP, (("fault", "clip-before-backward"),))
    target = write(tmp_path, early)
    asked = runs(target)
    sick = examine(asked, SMALL)
    tree = load_tree([target.file])
    made = Search(
        asked, sick, tree, settings=SMALL, prescribe=lambda diagnosis: [Plan((late,))], stage=lambda stage: None
    )
    chosen = made.run()
    assert chosen is not None
    assert chosen.outcome is Outcome.MENDED
    assert chosen.symptom is Symptom.GONE
    assert chosen.effect is not None
    assert abs(chosen.effect.estimate) < 0.1


def test_what_helps_at_first_and_fails_later_is_not_recommended(runs: MakeRuns, tmp_path: Path) -> None:
    relapsing = DIVERGES.replace("else 30", "else 300").replace(
        "    batch = ", "    if step == 100:\n        optimizer.param_groups[0]['lr'] = 30.0\n    batch = "
    )
    chosen, made, _ = search(runs, tmp_path, [LOWER], relapsing)
    assert chosen is None
    assert made.tried[0].note == "relapsed"
    assert made.tried[0].endured > made.horizon


def test_no_evidence_is_an_end(runs: MakeRuns, tmp_path: Path) -> None:
    chosen, made, _ = search(runs, tmp_path, [LOWER_A_LITTLE])
    assert chosen is None
    assert made.tried[0].outcome in (Outcome.NO_EVIDENCE, Outcome.BROKEN)
    assert "another seed" in [arm.name for arm in made.results()]


def test_a_sound_program_runs_to_its_end_and_is_healthy(runs: MakeRuns, tmp_path: Path) -> None:
    target = write(tmp_path, TRAIN.replace("else 30", "else 75"))
    sick = examine(runs(target), SMALL)
    assert sick.diagnosis.verdict is Verdict.HEALTHY
    assert (sick.curve.steps, sick.curve.ended, sick.horizon) == (75, True, None)


def test_what_was_reached_is_not_run_again(runs: MakeRuns, tmp_path: Path) -> None:
    target = write(tmp_path, TRAIN)
    first = runs(target)
    wanted = [Wanted("nothing", seed=seed, steps=10) for seed in range(3)]
    reached = first.reach(wanted)
    assert first.cost.runs == 3
    second = runs(target)
    assert [item.curve for item in second.reach(wanted)] == [item.curve for item in reached]
    assert (second.cost.runs, second.cost.resumed) == (0, 3)
    trace = second.reach(wanted[:1])[0].trace()
    assert trace is not None
    assert trace.steps == 10


def test_nothing_is_begun_when_no_time_is_left(runs: MakeRuns, tmp_path: Path) -> None:
    target = write(tmp_path, TRAIN)
    late = runs(target, seconds=0.0)
    assert late.reach([Wanted("nothing", steps=5)])[0].curve.error == "no time was left"
    assert late.cost.runs == 0


@pytest.mark.slow
def test_a_clock_ends_a_run_that_goes_on(runs: MakeRuns, tmp_path: Path) -> None:
    target = write(tmp_path, "import time\nwhile True:\n    time.sleep(0.05)\n")
    late = runs(target, seconds=1.0)
    assert late.reach([Wanted("nothing", steps=5)])[0].curve.error == "no time was left"
    assert not (tmp_path / "store" / "44136fa355b3-0").exists()
