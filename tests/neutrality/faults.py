"""Run one script under ``evengrad run`` again and again, each time with another function of evengrad raising.

``python -m tests.neutrality.faults RESULT first target…``: forks a process for every target, so that torch is imported
once; a target raises from its ``first`` call on. What every process said is written as JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.neutrality.injection import Fault, Target, targets

SCRIPT = Path(__file__).with_name("faulty_script.py")


def parse(text: str) -> Target:
    """Return the target that a string names."""
    module, _, path = text.partition(":")
    owner, _, name = path.rpartition(".")
    return Target(f"evengrad.{module}", owner, name)


def in_child(act: Callable[[], None], folder: Path) -> dict[str, object]:
    """Carry out ``act`` in a forked process that ends as a program does; return its streams and exit code."""
    child = os.fork()
    if child == 0:
        _be_a_program(act, folder)
    _, status = os.waitpid(child, 0)
    streams = {name: (folder / name).read_text() for name in ("stdout", "stderr")}
    return {**streams, "code": os.waitstatus_to_exitcode(status)}


def _be_a_program(act: Callable[[], None], folder: Path) -> None:
    code = 0
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    try:
        act()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 99
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def plain() -> None:
    """Run the script without evengrad."""
    runpy.run_path(str(SCRIPT), run_name="__main__")


def watched() -> None:
    """Run the script as ``evengrad run`` does."""
    from evengrad.cli.main import main

    sys.argv = ["evengrad", "run", str(SCRIPT)]
    main()


def faulty(target: Target, first: int) -> Callable[[], None]:
    """Return what runs the script as ``evengrad run`` does, with a fault in it."""

    def act() -> None:
        fault = Fault(target, first)
        fault.inject()
        try:
            watched()
        finally:
            Path("raised").write_text(str(fault.raised))

    return act


def main() -> None:
    """Run the targets of the command line."""
    targets()  # imports torch and all of evengrad, once for all children
    importlib.import_module("torch._dynamo")  # as the first optimizer does
    result, first, *names = sys.argv[1:]
    outcomes = {}
    with tempfile.TemporaryDirectory() as scratch:
        acts = {"plain": plain, "watched": watched, **{name: faulty(parse(name), int(first)) for name in names}}
        for number, (name, act) in enumerate(acts.items()):
            folder = Path(scratch, str(number))
            folder.mkdir()
            outcome = in_child(act, folder)
            raised = folder / "raised"
            outcome["raised"] = int(raised.read_text()) if raised.exists() else 0
            outcomes[name] = outcome
            Path(result).write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main()
