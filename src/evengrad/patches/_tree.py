"""Source trees: what patches read and return."""

from __future__ import annotations

import ast
import codecs
import difflib
import io
import os
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evengrad.core.info import SourceLine
from evengrad.errors import PatchError

_BOM = "\ufeff"


@dataclass(frozen=True)
class SourceTree:
    """The user's own source: a script and the modules beside it.

    Attributes:
        files: Text by absolute path, as it lies on disk: line ends, tabs and a byte-order mark included.
        root: The folder that paths are shown relative to.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    root: str = ""

    def __getitem__(self, path: str) -> str:
        return self.files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def replace(self, path: str, text: str) -> SourceTree:
        """Return the tree with another text for one of its files."""
        return SourceTree({**self.files, path: text}, self.root)

    def shown(self, path: str) -> str:
        """Return a path relative to the root, with forward slashes."""
        return os.path.relpath(path, self.root).replace(os.sep, "/") if self.root else path

    def find(self, line: SourceLine | None) -> str | None:
        """Return the file of the tree that a line of a trace belongs to; a trace's paths may be relative."""
        if line is None or not line.file:
            return None
        for candidate in (line.file, os.path.abspath(line.file), os.path.realpath(line.file)):
            if candidate in self.files:
                return candidate
        tail = "/" + os.path.normpath(line.file).replace(os.sep, "/")
        matching = [path for path in self.files if path.replace(os.sep, "/").endswith(tail)]
        return matching[0] if len(matching) == 1 else None

    def diff(self, other: SourceTree) -> str:
        """Return the unified diff that leads from this tree to another; ``""`` when they are equal."""
        return "".join(
            part
            for path in sorted({*self.files, *other.files})
            for part in _diff(self.files.get(path, ""), other.files.get(path, ""), self.shown(path))
        )


def _diff(old: str, new: str, name: str) -> Iterator[str]:
    """Yield the lines of one file's diff."""
    for line in difflib.unified_diff(_lines(old), _lines(new), f"a/{name}", f"b/{name}"):
        yield line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split at line feeds only; ``splitlines`` would split at form feeds too."""
    return io.StringIO(text, newline="\n").readlines()


def decode(data: bytes) -> str:
    """Return the text of a Python file, line ends and a byte-order mark included; ``encode`` is the inverse."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode("utf-8" if encoding == "utf-8-sig" else encoding)


def encode(text: str) -> bytes:
    """Return the bytes of a Python file in the encoding that it declares."""
    head = text.removeprefix(_BOM).encode("utf-8", "surrogatepass")
    encoding, _ = tokenize.detect_encoding(io.BytesIO(head).readline)
    if text.startswith(_BOM):
        return codecs.BOM_UTF8 + head
    return text.encode("utf-8" if encoding == "utf-8-sig" else encoding)


def load_tree(paths: Iterable[str | Path]) -> SourceTree:
    """Read scripts, and the modules beside them that they import, directly or through one another.

    Args:
        paths: Files; the folder of the first one is the tree's root.

    Returns:
        The tree. Installed packages are never part of it.

    Raises:
        PatchError: A file cannot be read, or is not Python.
    """
    waiting = [os.path.abspath(path) for path in paths]
    root = os.path.dirname(waiting[0]) if waiting else ""
    files: dict[str, str] = {}
    while waiting:
        path = waiting.pop(0)
        if path in files:
            continue
        try:
            files[path] = decode(Path(path).read_bytes())
            tree = ast.parse(files[path].removeprefix(_BOM))
        except (OSError, SyntaxError, UnicodeDecodeError, LookupError) as error:
            raise PatchError(
                f"{path} cannot be read as Python source ({error}); no change can be written into it"
            ) from error
        waiting += _imported(tree, path, root)
    return SourceTree(files, root)


def _imported(tree: ast.Module, path: str, root: str) -> list[str]:
    """Return the files below the root that a module imports."""
    names: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(root, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = os.path.dirname(path)
            for _ in range(node.level - 1):
                base = os.path.dirname(base)
            stem = f"{node.module}." if node.module else ""
            # A script run as part of a package names its neighbours from the folder above.
            bases = [base] if node.level else [root, os.path.dirname(root)]
            names += [(b, node.module) for b in bases if node.module]
            names += [(b, stem + alias.name) for b in bases for alias in node.names]
    stems = [os.path.join(base, *dotted.split(".")) for base, dotted in names]
    candidates = [path for stem in stems for path in (stem + ".py", os.path.join(stem, "__init__.py"))]
    return [c for c in candidates if "site-packages" not in c and c.startswith(root) and os.path.isfile(c)]
