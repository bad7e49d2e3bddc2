"""Run other source than the files hold, under the same names: the user's files are never touched."""

from __future__ import annotations

import importlib.machinery
import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from types import ModuleType

from evengrad.patches._tree import encode


def serve_texts(texts: Mapping[str, str]) -> None:
    """Let imports in this process find other source under the paths of some files.

    Tracebacks, ``inspect`` and everything that asks for a line of these files see the same text.

    Args:
        texts: Source by absolute path.
    """
    if not texts:
        return
    by_path = {os.path.realpath(path): text for path, text in texts.items()}
    sys.meta_path.insert(0, _Finder(by_path))
    for path, text in texts.items():
        prime_lines(path, text)


def prime_lines(path: str, text: str) -> None:
    """Let whoever asks for the lines of a file see a text instead."""
    # Without a time of change the cache never looks at the file again.
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)


class _Finder(MetaPathFinder):
    """Finds what the path finder finds, and puts other source under it."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for a module whose source is replaced, None for all others."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or not spec.has_location:
            return None
        text = self._texts.get(os.path.realpath(spec.origin))
        if text is None:
            return None
        prime_lines(spec.origin, text)
        spec.loader = _Loader(spec.origin, text)
        return spec


class _Loader(SourceLoader):
    """Loads one module from a text."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def get_filename(self, fullname: str) -> str:
        """Return the path that the module believes to come from."""
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        """Return the text for the module's own file, and what other files hold."""
        if os.fspath(path) == self._path:
            return encode(self._text)
        with open(path, "rb") as file:
            return file.read()
