"""From a program to a proven change: diagnose, search, verify, hand over."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Final

import evengrad
from evengrad.core.discover import catalogue
from evengrad.core.finding import Diagnosis, Verdict
from evengrad.core.plan import Plan
from evengrad.core.trial import Cost, Ending, Fix
from evengrad.errors import PatchError, TrialError
from evengrad.patches._tree import SourceTree, load_tree
from evengrad.trials.candidate import Candidate
from evengrad.trials.diagnosing import Sick, examine
from evengrad.trials.handover import apply, write_patched
from evengrad.trials.job import Target
from evengrad.trials.process import Launcher
from evengrad.trials.runs import Clock, Listener, Runs, Wanted
from evengrad.trials.search import Search, Stage
from evengrad.trials.settings import Prescriber, Settings
from evengrad.trials.shelter import clear_scratch
from evengrad.trials.store import Store, fix_folder

# Large libraries that do nothing but define names when they are imported: what a script imports of them is loaded once
# for all arms. Own choice.
_LOADED_ONCE: Final = frozenset({"sklearn", "scipy", "pandas", "torchvision"})


_DEFAULTS: Final = Settings()


@dataclass(frozen=True)
class Order:
    """What is to be fixed, and how.

    Attributes:
        target: The program.
        base: Folder that holds ``.evengrad``.
        command: Starts the process that arms run in.
        settings: Limits of the search.
        minutes: Wall time after which nothing new is begun; None: no limit.
        jobs: How many runs may go on at a time.
        isolate: Whether what arms write is kept from the user's files.
        fork: Whether arms may be forks of one process.
        apply: Whether a proven change is written into the user's files.
    """

    target: Target
    base: Path
    command: tuple[str, ...]
    settings: Settings = _DEFAULTS
    minutes: float | None = None
    jobs: int = 2
    isolate: bool = True
    fork: bool = True
    apply: bool = False


@dataclass(frozen=True)
class Helpers:
    """Who is asked, and who is told.

    Attributes:
        prescribe: Suggests plans.
        draw: Draws that many plans at random, from a seed.
        listener: Is told of runs.
        stage: Is told of stages.
    """

    prescribe: Prescriber
    draw: Callable[[Diagnosis, int], Sequence[Plan]]
    listener: Listener
    stage: Stage


def fix(order: Order, helpers: Helpers) -> tuple[Fix, Path]:
    """Find the smallest change that repairs a program, and prove it.

    Args:
        order: What is to be fixed.
        helpers: Who takes part.

    Returns:
        The result, and the folder that holds what was found out; a later call with the same program goes on from there.

    Raises:
        TrialError: the program's source cannot be read, or its processes cannot be started.
    """
    began = time.monotonic()
    main = main_file(order.target)
    try:
        tree = load_tree([main])
    except PatchError as error:
        raise TrialError(str(error)) from error
    identity = (order.target, order.settings.steps, sorted(tree.files.items()), evengrad.__version__)
    folder = fix_folder(order.base, identity)
    clear_scratch()
    launcher = Launcher(order.command, order.target, preloaded=_preloaded(tree), fork=order.fork)
    runs = Runs(
        launcher,
        order.target,
        Store(folder / "runs"),
        Clock(None if order.minutes is None else 60 * order.minutes),
        jobs=order.jobs,
        isolate=order.isolate,
        listener=helpers.listener,
    )
    try:
        launcher.warm_up()
        Thread(target=_load, name="evengrad-load", daemon=True).start()
        result = _Work(order, helpers, runs, tree, main, folder).run()
    finally:
        runs.close()
        launcher.close()
    return replace(result, cost=replace(result.cost, seconds=time.monotonic() - began)), folder


class _Work:
    """One fix on its way."""

    def __init__(self, order: Order, helpers: Helpers, runs: Runs, tree: SourceTree, *place: str | Path) -> None:
        self._order = order
        self._helpers = helpers
        self._runs = runs
        self._tree = tree
        self._main, self._folder = str(place[0]), Path(place[1])
        self._cost = Cost()

    def run(self) -> Fix:
        self._helpers.stage("diagnose")
        began = time.monotonic()
        sick = examine(self._runs, self._order.settings)
        steps = self._runs.cost.trial_steps
        self._cost = Cost(diagnosis_seconds=time.monotonic() - began, diagnosis_steps=steps)
        diagnosis = sick.diagnosis
        if diagnosis.verdict is Verdict.UNKNOWN or (diagnosis.verdict is Verdict.HEALTHY and sick.curve.error):
            return self._done(Fix(Ending.UNKNOWN, diagnosis, problem=sick.curve.error))
        if diagnosis.verdict is Verdict.HEALTHY:
            return self._done(Fix(Ending.HEALTHY, diagnosis, horizon=sick.curve.steps))
        return self._repair(sick)

    def _repair(self, sick: Sick) -> Fix:
        settings, began = self._order.settings, time.monotonic()
        search = Search(
            self._runs,
            sick,
            self._tree,
            settings=settings,
            prescribe=self._helpers.prescribe,
            stage=self._helpers.stage,
        )
        randoms = self._helpers.draw(sick.diagnosis, settings.controls) if settings.controls else ()
        chosen = search.run(randoms)
        self._cost = replace(self._cost, trial_seconds=time.monotonic() - began)
        result = Fix(
            Ending.NO_EVIDENCE if search.tried else Ending.NO_CANDIDATE,
            sick.diagnosis,
            search.results(),
            instructions=tuple(search.instructions),
            horizon=search.horizon,
        )
        if chosen is not None:
            result = self._hand_over(result, chosen, search)
        return self._done(result)

    def _hand_over(self, result: Fix, chosen: Candidate, search: Search) -> Fix:
        """Run the patched source plain, and hand it over if it gives the losses of the arm that won."""
        self._helpers.stage("verify")
        began = time.monotonic()
        plain = self._runs.reach([Wanted(chosen.name, chosen.texts, 0, self._steps(chosen), watched=False)])[0]
        verified = _same(plain.curve.losses, chosen.curves[0].losses) and not plain.curve.error
        patched = write_patched(self._folder / "patched", self._main, chosen.texts, self._tree)
        if verified and self._order.apply:
            apply(chosen.texts, self._tree, self._folder / "orig")
        self._cost = replace(self._cost, verify_seconds=time.monotonic() - began)
        return replace(
            result,
            ending=Ending.PROVEN if verified else Ending.UNVERIFIED,
            chosen=chosen.plan,
            verified=verified,
            diff=self._tree.diff(chosen.tree),
            patched=str(patched),
            files=tuple(sorted(chosen.texts)),
            after=chosen.left,
        )

    def _steps(self, chosen: Candidate) -> int | None:
        curve = chosen.curves[0]
        return None if curve.ended else curve.steps

    def _done(self, result: Fix) -> Fix:
        total = self._runs.cost
        cost = replace(
            self._cost,
            runs=total.runs,
            resumed=total.resumed,
            trial_steps=total.trial_steps - self._cost.diagnosis_steps,
        )
        return replace(result, cost=cost)


def _same(a: Sequence[float], b: Sequence[float]) -> bool:
    """Return whether losses are the same to the bit, NaN included."""
    return [x.hex() for x in a] == [x.hex() for x in b]


def main_file(target: Target) -> str:
    """Return the path of the file that a target starts with.

    Raises:
        TrialError: a module's source cannot be found.
    """
    if not target.module:
        return os.path.abspath(target.file)
    top, _, rest = target.name.partition(".")
    folders = [str(Path(target.folder, *target.name.split(".")))]
    spec = None if Path(target.folder, top).exists() else importlib.util.find_spec(top)
    if spec is not None and spec.submodule_search_locations:
        folders += [str(Path(place, *rest.split("."))) for place in spec.submodule_search_locations if rest]
        folders += list(spec.submodule_search_locations)
    for folder in folders:
        for candidate in (f"{folder}.py", os.path.join(folder, "__main__.py")):
            if os.path.isfile(candidate):
                return candidate
    raise TrialError(f"the source of module {target.name} was not found; give the path of its file instead of -m")


def _load() -> None:
    """Import what will be needed while the program is being diagnosed in another process."""
    for name in ("evengrad.rules", "evengrad.patches", "evengrad.remedies"):
        catalogue(name)
    importlib.import_module("scipy.special")


def _preloaded(tree: SourceTree) -> tuple[str, ...]:
    """Return the modules that a program imports from libraries that may be loaded once for all its runs."""
    names: set[str] = set()
    for text in tree.files.values():
        for node in ast.walk(ast.parse(text.removeprefix("\ufeff"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return tuple(sorted(name for name in names if name.partition(".")[0] in _LOADED_ONCE))
