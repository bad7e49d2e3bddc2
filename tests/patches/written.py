"""Write a change into a script, see which lines differ, and run what came out."""

from __future__ import annotations

import contextlib
import gc
import io
import runpy
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import torch

import evengrad
from evengrad.core.info import SourceLine
from evengrad.core.plan import Act, Change, Risk, Setting
from evengrad.patches import Facts, SourceTree, facts_of, patch

PATH = "/project/train.py"


def change(
    act: Act,
    *,
    modules: tuple[str, ...] = (),
    parameters: tuple[str, ...] = (),
    lines: tuple[int, ...] = (),
    path: str = PATH,
    **settings: Setting,
) -> Change:
    """Return a change; its lines are of one file."""
    places = tuple(SourceLine(path, line) for line in lines)
    return Change("remedy", act, Risk.LOOP, tuple(settings.items()), modules, parameters, places)


def tree_of(script: str, path: str = PATH) -> SourceTree:
    """Return the tree that holds one script."""
    return SourceTree({path: script}, str(Path(path).parent))


def differing(old: SourceTree, new: SourceTree) -> str:
    """Return the lines of the diff that begin with + or -."""
    lines = old.diff(new).splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and not line.startswith(("+++ ", "--- ")))


def written(script: str, wanted: Change, facts: Facts | None = None, path: str = PATH) -> str:
    """Return a script with a change in it; the script may be indented."""
    return patch(tree_of(dedent(script).lstrip("\n"), path), wanted, facts or Facts())[path]


def assert_written(script: str, wanted: Change, expected: str, facts: Facts | None = None, path: str = PATH) -> str:
    """Assert which lines a change takes out and puts in, and return the new script."""
    old = tree_of(dedent(script).lstrip("\n"), path)
    new = patch(old, wanted, facts or Facts())
    assert differing(old, new) == dedent(expected).strip("\n")
    return new[path]


def watched(folder: Path, script: str) -> tuple[Facts, str]:
    """Run a script under watch; return what patches need to know of it, and its path."""
    path = folder / "train.py"
    path.write_text(dedent(script).lstrip("\n"), encoding="utf-8")
    gc.collect()  # a model of an earlier run that is still in memory would lend its names
    with evengrad.watch() as monitor, contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(path), run_name="__main__")
    return facts_of(monitor.trace()), str(path)


def ran(script: str) -> dict[str, object]:
    """Run a script from seed 0 and return its variables."""
    torch.manual_seed(0)
    module = ModuleType("patched_script")
    sys.modules[module.__name__] = module
    try:
        exec(compile(dedent(script).lstrip("\n"), PATH, "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module.__dict__
