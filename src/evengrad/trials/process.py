"""Runs in processes of their own: forked from a server that has torch loaded, or started afresh one by one."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from evengrad.core.trial import Curve
from evengrad.errors import TrialError
from evengrad.trials.arm import LOSSES, STDERR, STDOUT
from evengrad.trials.job import Job, Target
from evengrad.trials.shelter import scratch_folder

logger = logging.getLogger(__name__)

_FINAL: Final = re.compile(r"^FINAL\s+([\w./-]+)\s*=\s*(\S+)\s*$", re.MULTILINE)
_TAIL: Final = 65_536  # bytes of an output that are looked at


@dataclass(frozen=True)
class Stop:
    """Where a run stands still, or has ended.

    Attributes:
        curve: Its losses so far.
        folder: What it left there: the trace and the losses; None when it was ended from outside.
        sheltered: How its writing was kept from the user's files; "" when it does not say.
    """

    curve: Curve
    folder: Path | None
    sheltered: str = ""


class LiveRun:
    """A run in another process: it stands still until it is told how far to go."""

    def __init__(self, job: Job, connection: socket.socket, process: subprocess.Popen[bytes] | None) -> None:
        self._job = job
        self._connection = connection
        self._process = process
        self._pending = b""
        self._pid = 0
        self._over = False
        self._losses: tuple[float, ...] = ()

    @property
    def results(self) -> Path:
        """The folder that takes what the run leaves."""
        return Path(self._job.results)

    def advance(self, to: int | None, seconds: float) -> Stop:
        """Let the run go on.

        Args:
            to: Optimizer step to stand still at; None: to its end.
            seconds: Wall time after which the run is ended.

        Returns:
            Where it stands then.
        """
        limit = time.monotonic() + seconds
        try:
            self._connection.sendall(json.dumps({"to": to}).encode() + b"\n")
            message = self._receive(limit)
            while "pid" in message:
                self._pid = int(str(message["pid"]))
                message = self._receive(limit)
        except TimeoutError:
            self.stop()
            return self._broken(f"no end after {seconds:.0f} s")
        except OSError:
            return self._broken(f"the process died{self._last_words()}")
        folder = self.results / str(message["folder"])
        self._losses = tuple(map(float.fromhex, json.loads((folder / LOSSES).read_text())))
        ended = bool(message["ended"])
        self._over = self._over or ended
        error = str(message["error"])
        if error.startswith("SystemExit"):  # what argparse, say, had to complain about
            error += self._last_words()
        curve = Curve(self._job.seed, self._losses, ended, error)
        if ended:
            curve = replace(curve, finals=finals(_tail(self.results / STDOUT)))
        return Stop(curve, folder, str(message["sheltered"]))

    def _receive(self, limit: float) -> dict[str, object]:
        """Return the next message.

        Raises:
            TimeoutError: none has come by ``limit``.
            ConnectionResetError: the other side has gone.
        """
        while b"\n" not in self._pending:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self._connection], [], [], left)[0]:
                raise TimeoutError
            part = self._connection.recv(65_536)
            if not part:
                raise ConnectionResetError
            self._pending += part
        line, _, self._pending = self._pending.partition(b"\n")
        message: dict[str, object] = json.loads(line)
        return message

    def _broken(self, error: str) -> Stop:
        self._over = True
        return Stop(Curve(self._job.seed, self._losses, ended=False, error=error), None)

    def _last_words(self) -> str:
        lines = _tail(self.results / STDERR).strip().splitlines()
        return f": {lines[-1][:200]}" if lines else ""

    def stop(self) -> None:
        """End the run wherever it is, and whatever it has started."""
        if self._pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
        self._over = True
        self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for _ in range(3):  # a dying process may still write
            shutil.rmtree(self.results, ignore_errors=True)


class Launcher:
    """Starts runs of one target.

    Args:
        command: Starts the process that `trials.arm.serve` is called in; its mode, the number of a connection and
            modules to load beforehand follow.
        target: What is run.
        preloaded: Modules that every run will import and that may be loaded once for all.
        fork: Whether runs may be forks of one server.
    """

    def __init__(
        self, command: Sequence[str], target: Target, *, preloaded: Sequence[str] = (), fork: bool = True
    ) -> None:
        self._command = tuple(command)
        self._target = target
        self._preloaded = tuple(preloaded)
        self._fork = fork and sys.platform == "linux"
        self._lock = threading.Lock()
        self._server: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    def warm_up(self) -> None:
        """Start the server, so that it loads while something else is done."""
        if self._fork:
            with self._lock:
                self._server = self._server or self._spawn("serve")

    def start(self, job: Job) -> LiveRun:
        """Return a new run, which stands still before its first line.

        Args:
            job: What to run; its folder for results is made here.

        Raises:
            TrialError: no process can be started.
        """
        results = scratch_folder()
        job = replace(job, results=str(results))
        ours, theirs = socket.socketpair()
        process = None
        with open(results / STDOUT, "wb") as out, open(results / STDERR, "wb") as error:
            files = [theirs.fileno(), out.fileno(), error.fileno()]
            try:
                if self._fork:
                    self.warm_up()
                    with self._lock:
                        assert self._server is not None
                        _order(self._server[1], job, files)
                else:
                    process, connection = self._spawn("once")
                    _order(connection, job, files)
                    connection.close()
            except OSError as problem:
                raise TrialError(f"cannot start a run: {problem}") from problem
            finally:
                theirs.close()
        return LiveRun(job, ours, process)

    def _spawn(self, mode: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        with theirs:
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
            command = [sys.executable, *flags, *self._command, mode, str(theirs.fileno()), *self._preloaded]
            process = subprocess.Popen(
                command,
                cwd=self._target.folder,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for whoever ordered the runs
            )
        return process, ours

    def close(self) -> None:
        """End the server, and with it every run."""
        if self._server is None:
            return
        process, connection = self._server
        self._server = None
        process.kill()  # its runs die with it
        process.wait()
        connection.close()


def _order(connection: socket.socket, job: Job, files: list[int]) -> None:
    data = job.encode().encode()
    socket.send_fds(connection, [len(data).to_bytes(8, "big")], files)
    connection.sendall(data)


def finals(output: str) -> tuple[tuple[str, float], ...]:
    """Return the figures that a program printed as ``FINAL name=value``, the last of each name."""
    found: dict[str, float] = {}
    for name, text in _FINAL.findall(output):
        try:
            value = float(text)
        except ValueError:
            continue
        found[name] = value if math.isfinite(value) else math.nan
    return tuple(found.items())


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
