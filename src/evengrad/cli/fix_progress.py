"""What a person sees while a fix is being searched for: the stage, and a bar for each run that is going on."""

from __future__ import annotations

import math
from threading import Lock
from typing import TYPE_CHECKING

from evengrad.cli.options import Language
from evengrad.cli.terminal import say, stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from evengrad.trials.runs import Wanted
    from evengrad.trials.store import Reached


class FixProgress:
    """Shows progress on stderr: bars on a terminal, a line per stage elsewhere; nothing when it is to be quiet.

    Args:
        script: What is being fixed.
        language: Of what is said.
        quiet: Whether to say nothing.
    """

    def __init__(self, script: str, language: Language, *, quiet: bool) -> None:
        self._script = script
        self._language = language
        self._quiet = quiet
        self._progress: Progress | None = None
        self._heading: TaskID | None = None
        self._bars: dict[str, TaskID] = {}
        self._said: list[str] = []
        self._lock = Lock()

    def __enter__(self) -> FixProgress:
        """Take the terminal, if there is one."""
        stream = stderr()
        if self._quiet or stream is None or not stream.isatty():
            return self
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[what]}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=Console(file=stream), transient=True)
        self._progress.start()
        self._heading = self._progress.add_task("evengrad fix", total=None, what="")
        return self

    def __exit__(self, *ending: object) -> None:
        """Give the terminal back."""
        if self._progress is not None:
            self._progress.stop()

    def stage(self, stage: str) -> None:
        """Show what is being done."""
        from evengrad.reports.fix.document import BOOK
        from evengrad.reports.text import texts

        text = texts(self._language.value, BOOK).say(f"stage.{stage}", script=self._script)
        if self._progress is not None and self._heading is not None:
            self._progress.update(self._heading, description=text)
        elif not self._quiet and text not in self._said:
            self._said.append(text)
            say(text)

    def run(self, wanted: Wanted, reached: Reached | None) -> None:
        """Show a run that begins to go on, or take it away when it has got there."""
        if self._progress is None:
            return
        with self._lock:
            if reached is None:
                total = None if wanted.steps is None else float(wanted.steps)
                name = f"  {wanted.name} · {wanted.seed}"
                self._bars[wanted.run] = self._progress.add_task(name, total=total, what="")
                return
            bar = self._bars.pop(wanted.run, None)
            if bar is not None:
                self._progress.remove_task(bar)
            if self._heading is not None and reached.curve.losses:
                loss = reached.curve.losses[-1]
                shown = f"{loss:.4g}" if math.isfinite(loss) else str(loss)
                self._progress.update(self._heading, what=f"{wanted.name}: {shown}")
