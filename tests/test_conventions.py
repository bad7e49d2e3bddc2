"""What the tools do not measure: sizes of files and functions, and names that would date or leak."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MOST_LINES, MOST_FUNCTION_LINES = 400, 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_files_and_functions_stay_short(path: Path) -> None:
    """Docstrings are not counted: a formula's may be longer than its code."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0].end_lineno if ast.get_docstring(node) is not None else node.lineno
            assert (node.end_lineno or 0) - (docstring or 0) < MOST_FUNCTION_LINES, node.name


def test_every_package_says_what_it_is_for() -> None:
    for path in SOURCES:
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
