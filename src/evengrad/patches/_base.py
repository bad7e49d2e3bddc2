"""What every patch is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from evengrad.core.plan import Change
from evengrad.patches._edit import Edit, rewritten
from evengrad.patches._facts import Facts
from evengrad.patches._source import Source, parse
from evengrad.patches._tree import SourceTree


@dataclass(frozen=True)
class AbstractPatch(ABC):
    """Writes one act into source. A patch's module names its instance ``PATCH`` and documents the act's settings."""

    @abstractmethod
    def write(self, job: Job) -> SourceTree:
        """Return the tree with the change in it, or raise ``PatchError`` with what to write by hand."""


@dataclass(frozen=True)
class Job:
    """A change to be written, and what it is written into."""

    tree: SourceTree
    change: Change
    facts: Facts

    def source(self, path: str) -> Source:
        """Return a file, parsed."""
        return parse(path, self.tree[path])

    @property
    def sources(self) -> list[Source]:
        """All files, parsed, the script first."""
        script = self.facts.script
        return [self.source(path) for path in sorted(self.tree, key=lambda path: (not path.endswith(script), path))]

    def where(self, source: Source, line: int) -> str:
        """Return ``train.py:12`` for a message."""
        return f"{self.tree.shown(source.path)}:{line}"

    def edited(self, edits: Iterable[tuple[Source, Edit]]) -> SourceTree:
        """Return the tree with edits carried out."""
        by_path: dict[str, list[Edit]] = {}
        for source, edit in edits:
            by_path.setdefault(source.path, []).append(edit)
        tree = self.tree
        for path, found in by_path.items():
            tree = tree.replace(path, rewritten(self.source(path), found, self.tree[path]))
        return tree
