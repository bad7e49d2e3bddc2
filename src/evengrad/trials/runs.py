"""Runs as answers: ask how far a text on a seed shall be taken, and get what was seen there, from wherever it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

from evengrad.core.trial import Cost, Curve
from evengrad.trials.job import Job, Target
from evengrad.trials.process import Launcher, LiveRun
from evengrad.trials.store import Reached, Store, text_key

NO_TIME: Final = "no time was left"
_PATIENCE: Final = 60.0  # seconds that any run may take to begin
_SLOWER: Final = 10.0  # times slower than the control's steps that a patched run may be


@dataclass(frozen=True)
class Wanted:
    """A run and how far it shall go.

    Attributes:
        name: What it is called where progress is shown.
        texts: Source by absolute path, in place of what the files hold.
        seed: Which replicate.
        steps: Optimizer step to stand still at; None: to its end.
        watched: Whether evengrad watches.
    """

    name: str
    texts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    steps: int | None = None
    watched: bool = True

    @property
    def run(self) -> str:
        """A name for the run, however far it goes."""
        return f"{text_key(self.texts)}-{self.seed}{'' if self.watched else '-plain'}"


Listener = Callable[[Wanted, Reached | None], None]
"""Told when a run begins to go on (None), and what it reached."""


class Clock:
    """The wall time that is left."""

    def __init__(self, seconds: float | None) -> None:
        self.began = time.monotonic()
        self._end = None if seconds is None else self.began + seconds

    def left(self) -> float:
        """Seconds left; infinite without a limit."""
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return self.left() <= 0


class Runs:
    """Every run of one fix. What is asked for twice, now or in a later call, is run once.

    Args:
        launcher: Starts processes.
        target: The program.
        store: Keeps what was reached.
        clock: The time that is left.
        jobs: How many may run at a time.
        isolate: Whether what runs write is kept from the user's files.
        listener: Is told of progress, from any thread.
    """

    def __init__(
        self,
        launcher: Launcher,
        target: Target,
        store: Store,
        clock: Clock,
        *,
        jobs: int,
        isolate: bool = True,
        listener: Listener | None = None,
    ) -> None:
        self._launcher = launcher
        self._target = target
        self._store = store
        self.clock = clock
        self._jobs = jobs
        self._isolate = isolate
        self._listener = listener or _nobody
        self._live: dict[str, tuple[LiveRun, int]] = {}
        self._lock = Lock()
        self._since = time.time()
        self._seconds_per_step = 0.0
        self.cost = Cost()

    def reach(self, wanted: Sequence[Wanted]) -> list[Reached]:
        """Return what each of some runs shows at its step; those that run do so side by side."""
        if len(wanted) == 1:
            return [self._one(wanted[0])]
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="evengrad-arm") as pool:
            futures = [pool.submit(self._one, item) for item in wanted]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()  # ends what the pool waits for
                raise

    def _one(self, wanted: Wanted) -> Reached:
        kept = self._store.find(wanted.run, wanted.steps)
        if kept is not None:
            with self._lock:
                self.cost = replace(self.cost, resumed=self.cost.resumed + 1)
            self._listener(wanted, kept)
            return kept
        if self.clock.over:
            return Reached(Curve(wanted.seed, (), error=NO_TIME))
        self._listener(wanted, None)
        reached = self._go_on(wanted)
        self._listener(wanted, reached)
        return reached

    def _go_on(self, wanted: Wanted) -> Reached:
        began = time.monotonic()
        live, done = self._live.get(wanted.run) or (self._start(wanted), 0)
        if wanted.steps is not None and done > wanted.steps:  # it has gone past
            live.stop()
            live, done = self._start(wanted), 0
        limit, by_clock = self._limit(wanted, done)
        stop = live.advance(wanted.steps, limit)
        seconds = time.monotonic() - began
        steps = max(0, stop.curve.steps - done)
        self._note(wanted, seconds, steps)
        if stop.folder is None and by_clock and stop.curve.error.startswith("no end"):
            self._forget(wanted.run)
            return Reached(replace(stop.curve, error=NO_TIME), seconds=seconds, steps=steps)
        reached = replace(self._store.keep(wanted.run, stop), seconds=seconds, steps=steps)
        with self._lock:
            self._live[wanted.run] = (live, stop.curve.steps)
        if stop.curve.ended or stop.curve.error:
            self._forget(wanted.run)
        return reached

    def _start(self, wanted: Wanted) -> LiveRun:
        job = Job(
            self._target,
            "",
            wanted.texts,
            wanted.seed,
            watched=wanted.watched,
            isolate=self._isolate,
            since=self._since,
        )
        return self._launcher.start(job)

    def _limit(self, wanted: Wanted, done: int) -> tuple[float, bool]:
        """Return how long a run may take from here, and whether it is the clock that says so."""
        left = self.clock.left()
        if wanted.steps is None or not self._seconds_per_step:
            return min(left, 1e9), True
        own = _PATIENCE + _SLOWER * self._seconds_per_step * (wanted.steps - done)
        return (left, True) if left <= own else (own, False)

    def _note(self, wanted: Wanted, seconds: float, steps: int) -> None:
        with self._lock:
            if not self._seconds_per_step and steps:
                self._seconds_per_step = seconds / steps
            self.cost = replace(self.cost, runs=self.cost.runs + 1, trial_steps=self.cost.trial_steps + steps)

    def drop(self, wanted: Wanted) -> None:
        """End a run that nobody will ask for again."""
        self._forget(wanted.run)

    def _forget(self, run: str) -> None:
        with self._lock:
            live = self._live.pop(run, None)
        if live is not None:
            live[0].stop()

    def close(self) -> None:
        """End every run."""
        for run in list(self._live):
            self._forget(run)


def _nobody(wanted: Wanted, reached: Reached | None) -> None:
    """Listen to nothing."""
