"""The process in which the arms of a trial run; ``evengrad fix`` starts it as ``python -m evengrad.cli.arm``."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
from collections.abc import Mapping

from evengrad.cli import ending
from evengrad.cli.program import AbstractProgram, Module, Script
from evengrad.patches._tree import encode
from evengrad.trials.arm import serve
from evengrad.trials.job import Target
from evengrad.trials.texts import prime_lines

logger = logging.getLogger(__name__)


def execute(target: Target, texts: Mapping[str, str]) -> BaseException | None:
    """Run a target as ``evengrad run`` does; return what ended it, shown on stderr."""
    end = ending.run(_program(target, texts))
    return end if end is None else ending.show(end)


def _program(target: Target, texts: Mapping[str, str]) -> AbstractProgram:
    if target.module:
        return Module(target.arguments, target.name, target.folder)
    file = os.path.realpath(target.file)
    text = next((text for path, text in texts.items() if os.path.realpath(path) == file), None)
    if text is None:
        return Script(target.arguments, target.name, target.file, Script.load(target.file, ()).code)
    prime_lines(target.file, text)
    code = compile(encode(text), target.file, "exec", dont_inherit=True)
    return Script(target.arguments, target.name, target.file, code)


def main() -> None:
    """Serve the connection whose number is given; modules named after it are imported before the first run."""
    mode, number, *preloaded = sys.argv[1:]
    connection = socket.socket(fileno=int(number))
    if mode == "serve":
        for name in ("torch", "numpy", "pyarrow.parquet", "evengrad.observation.monitor", *_OURS, *_LAZY, *preloaded):
            try:
                importlib.import_module(name)
            except ImportError as error:  # the run that needs it will say so
                logger.debug("not preloaded: %s", error)
    serve(connection, execute, once=mode == "once")


_OURS = ("evengrad.recording.folder", "evengrad.core.codec")
_LAZY = ("torch._dynamo",)  # which the first optimizer of a process imports, for a second

if __name__ == "__main__":
    main()
