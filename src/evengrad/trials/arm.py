"""The inside of an arm: runs the job's program, stands still when told to, and leaves what was seen in a folder."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from evengrad.core.event import Event, EventKind
from evengrad.trials.job import Job, Target
from evengrad.trials.seeding import seed_replicate
from evengrad.trials.shelter import Mirror, enter_overlay, roots_of
from evengrad.trials.texts import serve_texts

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from evengrad.core.trace import Trace
    from evengrad.observation.watch import ProcessMonitor

LOSSES: Final = "losses.json"
STDOUT: Final = "stdout.txt"
STDERR: Final = "stderr.txt"
_ROW_LIMIT: Final = 1_000_000  # rows of a trace that are handed over; own choice

Execute = Callable[[Target, Mapping[str, str]], BaseException | None]
"""Runs a target as ``__main__`` of this process, with other texts for some files, and returns what ended it."""


class Line:
    """The line to whoever ordered the run: JSON values, one a line."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("r", encoding="utf-8")
        # A worker process that outlives the run must not keep the line open.
        os.register_at_fork(after_in_child=self._drop)

    def _drop(self) -> None:
        self._file.detach()
        self._connection.close()

    def say(self, **values: object) -> None:
        """Send one message."""
        self._connection.sendall(json.dumps(values).encode() + b"\n")

    def next_stop(self) -> int | None:
        """Wait for an order: the step to stand still at, or None for none; ends the process when nobody is left."""
        text = self._file.readline()
        if not text or "stop" in (order := json.loads(text)):
            os._exit(0)
        stop: int | None = order["to"]
        return stop


class Recorder:
    """Writes down the loss of every optimizer step, and calls at the end of each."""

    def __init__(self, at_step: Callable[[int], None]) -> None:
        self.losses: list[float] = []
        self._current: list[float] = []
        self._counts: dict[int, int] = {}
        self._at_step = at_step

    def see_losses(self) -> None:
        """Look at what every backward pass starts from. Before a monitor does: it puts back what it found."""
        import torch

        backward = torch.autograd.backward

        def recorded(tensors: Any, *arguments: Any, **named: Any) -> None:
            for root in [tensors] if isinstance(tensors, torch.Tensor) else tensors:
                if root.numel() == 1 and not root.is_complex():
                    self._current.append(float(root.detach().item()))
            backward(tensors, *arguments, **named)

        torch.autograd.backward = recorded

    def count_steps(self) -> None:
        """Count optimizer steps. After a monitor does: it should have seen the step at which the run stands still."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        register_optimizer_step_post_hook(self._step)

    def _step(self, optimizer: Optimizer, arguments: object, named: object) -> None:
        own = self._counts[id(optimizer)] = self._counts.get(id(optimizer), 0) + 1
        if own <= len(self.losses):  # another optimizer of the same round
            return
        self.losses.append(sum(self._current) if self._current else float("nan"))
        self._current.clear()
        self._at_step(len(self.losses))


class Arm:
    """One run of one job, in a process of its own that ends with it."""

    def __init__(self, job: Job, line: Line) -> None:
        self._job = job
        self._line = line
        self._stop: int | None = None
        self._recorder = Recorder(self._at_step)
        self._monitor: ProcessMonitor | None = None
        self._process = os.getpid()

    def run(self, execute: Execute) -> NoReturn:
        """Run the job to its end, or until the order to stop; the process ends here."""
        job = self._job
        os.chdir(job.target.folder)
        self._line.say(pid=os.getpid())
        self._stop = self._line.next_stop()
        sheltered = self._shelter()
        serve_texts(job.texts)
        seed_replicate(job.seed)
        self._recorder.see_losses()
        if job.watched:
            from evengrad.observation.watch import watch_process

            self._monitor = watch_process(budget=job.budget)
        self._recorder.count_steps()
        sys.dont_write_bytecode = True  # of source that the files do not hold
        started = time.perf_counter()
        end = execute(job.target, job.texts)
        _flush()
        self._leave(ended=True, error=_error(end), sheltered=sheltered, seconds=time.perf_counter() - started)
        os._exit(0)

    def _shelter(self) -> str:
        """Keep what the program writes from the user's files; return how."""
        job = self._job
        if not job.isolate:
            return "none"
        folders = [job.target.folder, *(os.path.dirname(path) for path in job.texts)]
        if not job.target.module:
            folders.append(os.path.dirname(os.path.realpath(job.target.file)))
        roots = roots_of(folders)
        scratch = Path(job.results) / "scratch"
        scratch.mkdir()
        if enter_overlay(roots, scratch, job.texts):
            return "overlay"
        Mirror(job.target.folder, scratch, roots, job.since).enter()
        return "links"

    def _at_step(self, steps: int) -> None:
        if self._stop is None or steps < self._stop or os.getpid() != self._process:
            return
        _flush()
        self._leave(ended=False, error="", sheltered="", seconds=0.0)
        self._stop = self._line.next_stop()

    def _leave(self, *, ended: bool, error: str, sheltered: str, seconds: float) -> None:
        """Write what was seen so far, and say so."""
        losses = self._recorder.losses
        folder = Path(self._job.results) / f"at-{len(losses)}{'-end' if ended else ''}"
        folder.mkdir(exist_ok=True)
        # Hexadecimal: to the bit, and NaN and infinity have names.
        (folder / LOSSES).write_text(json.dumps([loss.hex() for loss in losses]))
        if self._monitor is not None:
            if error:
                step = max(0, len(losses) - 1)
                self._monitor.note(Event(EventKind.SCRIPT_ERROR, step, last_step=step, details={"error": error}))
            if ended:
                self._monitor.close()
            _write_trace(replace(self._monitor.trace(), script=self._job.target.name, completed=ended), folder)
        self._line.say(steps=len(losses), ended=ended, error=error, folder=folder.name, sheltered=sheltered)


def _write_trace(trace: Trace, folder: Path) -> None:
    """Write a whole trace as a run folder."""
    from evengrad.recording.folder import TRACE, RunFolder

    (folder / TRACE).mkdir(exist_ok=True)
    rows = [
        (int(step), statistic, subject, float(value))
        for (statistic, subject), series in trace.series.items()
        for step, value in zip(series.steps, series.values, strict=True)
    ]
    run = RunFolder(folder)
    run.append(rows[-_ROW_LIMIT:])
    run.write_state(trace)


def _error(end: BaseException | None) -> str:
    """Return what ended a program early, in one line; "" when it ended well."""
    if end is None or (isinstance(end, SystemExit) and end.code in (None, 0)):
        return ""
    text = " ".join(str(end).split())[:200]
    return f"{type(end).__name__}: {text}" if text else type(end).__name__


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def serve(connection: socket.socket, execute: Execute, *, once: bool) -> None:
    """Run jobs in forks of this process until nobody is left to order any; or one job in this process itself.

    Args:
        connection: Gives one line of JSON per job, with the files for its line, stdout and stderr.
        execute: Runs a target.
        once: Run the one job here; it then has this process for itself.
    """
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the runs: what they say on their line counts
    while True:
        head, files, _, _ = socket.recv_fds(connection, 8, 3)
        if not head:
            return
        job = Job.decode(_receive(connection, int.from_bytes(head, "big")).decode())
        if once or os.fork() == 0:
            connection.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if not once:
                os.setsid()
                _die_with_parent()
            _begin(job, files, execute)
        for file in files:
            os.close(file)


def _begin(job: Job, files: list[int], execute: Execute) -> NoReturn:
    """Make this process the arm's own, and run it."""
    line, out, error = files
    os.dup2(out, 1)
    os.dup2(error, 2)
    os.close(out)
    os.close(error)
    try:
        Arm(job, Line(socket.socket(fileno=line))).run(execute)
    except BaseException:
        import traceback

        traceback.print_exc()
        _flush()
    finally:
        os._exit(3)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise SystemExit
        data += part
    return data


def _die_with_parent() -> None:
    """Ask the kernel to end this process with the one that made it; elsewhere it ends where it next stands still."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
