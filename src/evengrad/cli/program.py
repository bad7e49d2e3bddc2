"""What the user wants run: a script or a module, started just as ``python`` would start it."""

from __future__ import annotations

import builtins
import io
import os
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType

from evengrad.cli import LOADED_BEFORE
from evengrad.errors import ScriptError


@dataclass(frozen=True)
class AbstractProgram(ABC):
    """A program and its arguments; ``arguments`` is everything that followed it on the command line."""

    arguments: tuple[str, ...]

    @property
    @abstractmethod
    def name(self) -> str:
        """What the user calls it."""

    @abstractmethod
    def start(self) -> None:
        """Run it as ``__main__`` of this process, and let whatever ends it pass."""


@dataclass(frozen=True)
class Script(AbstractProgram):
    """``python path arguments…``; ``code`` was compiled under ``file``, the name that tracebacks show."""

    path: str
    file: str
    code: CodeType

    @classmethod
    def load(cls, path: str, arguments: tuple[str, ...]) -> Script:
        """Read and compile a script.

        Args:
            path: As the user wrote it.
            arguments: What the script will find after its name in ``sys.argv``.

        Returns:
            The script, ready to start.

        Raises:
            ScriptError: it cannot be read, or is not Python.
        """
        # The interpreter joins without normalising: "./../train.py" stays visible in tracebacks.
        file = str(os.path.join(os.getcwd(), path))
        return cls(arguments, path, file, _compile(_read(path), path, file))

    @property
    def name(self) -> str:
        """The path, as the user wrote it."""
        return self.path

    def start(self) -> None:
        """Run the script in a new ``__main__``."""
        sys.argv = [self.path, *self.arguments]
        _put_on_path(str(Path(self.file).resolve().parent))
        main = _new_main()
        main.__file__ = self.file
        main.__loader__ = SourceFileLoader("__main__", self.file)
        main.__dict__["__cached__"] = None
        namespace = main.__dict__
        del main  # sys.modules alone keeps it, so that it dies at the end as any __main__ does
        exec(self.code, namespace)


@dataclass(frozen=True)
class Module(AbstractProgram):
    """``python -m module arguments…``, looked for in ``folder`` first."""

    module: str
    folder: str

    @classmethod
    def find(cls, module: str, arguments: tuple[str, ...]) -> Module:
        """Look for a module without importing anything.

        Args:
            module: Dotted name.
            arguments: What the module will find after its name in ``sys.argv``.

        Returns:
            The module, ready to start.

        Raises:
            ScriptError: there is no such module or package.
        """
        _put_on_path(os.getcwd())
        top = module.partition(".")[0]
        try:
            found = bool(module.strip(".") == module and top and find_spec(top))
        except (ImportError, ValueError):
            found = False
        if not found:
            raise ScriptError(
                f"no module named {top or module!r} in {os.getcwd()} or on the module path; "
                "after -m give a dotted name, 'package.module', without '.py'"
            )
        return cls(arguments, module, os.getcwd())

    @property
    def name(self) -> str:
        """The dotted name."""
        return self.module

    def start(self) -> None:
        """Run the module through the function that ``python -m`` itself calls."""
        import runpy

        sys.argv = ["-m", *self.arguments]
        _put_on_path(self.folder)
        _new_main()
        # Not public, yet the interpreter calls it by this name; run_module() would put back the old __main__ at the
        # end, while threads, exit handlers and unpickling still need the new one.
        runpy._run_module_as_main(self.module)  # type: ignore[attr-defined]


def _new_main() -> ModuleType:
    """Put an empty ``__main__`` in place and return it."""
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if sys.version_info < (3, 14):  # later ones make it on demand
        main.__annotations__ = {}
    # The interpreter still runs the old one: its globals must outlive the swap.
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


_kept: list[ModuleType] = []


def _uncover(folder: str) -> None:
    """Unload what the command line has loaded and the program's folder has a module of the same name for."""
    ours = set(sys.modules) - LOADED_BEFORE
    for top in {name.partition(".")[0] for name in ours} - {"evengrad"}:
        if Path(folder, f"{top}.py").is_file() or Path(folder, top, "__init__.py").is_file():
            for name in [name for name in ours if name.partition(".")[0] == top]:
                del sys.modules[name]


def _put_on_path(folder: str) -> None:
    """Replace the folder of the command line's own script at the head of the module path."""
    if not getattr(sys.flags, "safe_path", False):  # under -P the interpreter puts nothing there; new in 3.11
        sys.path[0] = folder
        _uncover(folder)


def _read(path: str) -> bytes:
    """Return a script's bytes."""
    if not path or path == "-":
        raise ScriptError(f"expected the path of a Python script, got {path!r}")
    try:
        with io.open_code(os.path.abspath(path)) as stream:
            return stream.read()
    except FileNotFoundError:
        raise ScriptError(
            f"no script {path!r} in {os.getcwd()}; give the path of a Python file, or -m and the name of a module"
        ) from None
    except IsADirectoryError:
        raise ScriptError(f"{path!r} is a directory; give the path of a Python file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ScriptError(f"cannot read {path!r}: {reason}; give the path of a readable Python file") from error


def _compile(source: bytes, path: str, file: str) -> CodeType:
    """Compile as the interpreter does: bytes, so that byte-order marks, encoding cookies and CRLF are its business."""
    try:
        return compile(source, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        shown = f": {error.text.strip()!r}" if error.text else ""
        raise ScriptError(f"{path}{line} is not valid Python: {error.msg}{shown}; correct it and run again") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ScriptError(f"{path!r} is not Python source: {error}; give the path of a Python file") from error
