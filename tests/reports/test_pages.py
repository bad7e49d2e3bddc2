from __future__ import annotations

import pytest

from evengrad.core.discover import catalogue
from evengrad.reports.pages import Section, rule_page, sections

DOCSTRING = """The gradient shrinks.

    See :class:`evengrad.core.trace.Trace`.

    What it measures:
        One thing,
        on two lines.

        Another: with a colon.

    Thresholds:
        warn: decades. Own choice:
            continued.
        severe: decades.

    Empty:
    """


def test_a_docstring_falls_into_sections_paragraphs_and_entries():
    assert sections(DOCSTRING) == (
        Section("", ("The gradient shrinks.", "See `evengrad.core.trace.Trace`.")),
        Section("What it measures", ("One thing, on two lines.", "Another: with a colon.")),
        Section("Thresholds", ("warn: decades. Own choice: continued.", "severe: decades."), listed=True),
    )


@pytest.mark.parametrize("rule", sorted(catalogue("evengrad.rules")))
def test_every_rule_has_the_sections_that_a_reader_needs(rule):
    titles = [section.title for section in rule_page(rule)]
    assert {"", "What it measures", "Why it hurts", "When it misleads", "Source"} <= set(titles)


def test_a_rule_that_nobody_wrote_has_no_page():
    assert rule_page("no-such-rule") == ()
