"""The examples in the page about theory do what they say."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "theory.md"
BLOCKS = re.findall(r"```python\n(>>> .*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS, ids=[str(index) for index in range(len(BLOCKS))])
def test_example_gives_what_the_page_shows(block: str) -> None:
    test = doctest.DocTestParser().get_doctest(block, {}, "docs/theory.md", str(PAGE), 0)
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed == 0
