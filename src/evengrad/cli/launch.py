"""Run a program under watch, from before its first line until the report."""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evengrad.cli import ending
from evengrad.cli.options import Options
from evengrad.cli.program import AbstractProgram
from evengrad.cli.terminal import describe, say

if TYPE_CHECKING:
    from evengrad.cli.session import Session


@dataclass(frozen=True)
class Launch:
    """A program and the options to watch it with.

    Nothing of the parsing of the command line is on the stack when a launch is carried out: the program's exceptions,
    its exit code and Ctrl-C pass nobody on their way but `ending`.
    """

    program: AbstractProgram
    options: Options

    def carry_out(self) -> None:
        """Run the program, print the report, and leave the way the program did."""
        session = self._watch()
        end = ending.run(self.program)
        if end is not None:
            end = ending.show(end)
        if session is not None:
            self._report(session, end)
        ending.leave(end)

    def _watch(self) -> Session | None:
        try:
            from evengrad.cli.session import Session
            from evengrad.observation.watch import switched_off

            return None if switched_off() else Session(self.options, self.program.name)
        except Exception as error:
            say(f"cannot watch this run, which goes on without: {describe(error)}")
            return None

    def _report(self, session: Session, end: BaseException | None) -> None:
        """Report now, or when the interpreter has waited for the threads that the program left running.

        Raises:
            SystemExit: the program succeeded, but its findings reach ``--fail-on``.
        """
        # An exit handler is too late to change the exit code.
        if self.options.fail_on is None and _threads_left():
            # Refuses to be imported once threads are waited for, and libraries that the report needs import it.
            import concurrent.futures.thread  # noqa: F401

            atexit.register(session.finish, end)
            return
        reached = session.finish(end)
        if reached and ending.succeeded(end):
            raise SystemExit(1)


def _threads_left() -> bool:
    """Return whether the interpreter will wait for threads at its exit."""
    own = threading.current_thread()
    return any(thread is not own and not thread.daemon for thread in threading.enumerate())
