from __future__ import annotations

import pytest

import evengrad
from evengrad.errors import UsageError
from tests.builders import deep_sigmoid, diagnosis, finding


def test_a_report_is_printed_to_stderr_only(capsys):
    evengrad.report(diagnosis(deep_sigmoid(), finding()))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Vanishing gradient" in printed.err


def test_a_report_is_written_as_html_and_says_where(tmp_path, capsys):
    evengrad.report(diagnosis(deep_sigmoid(), finding()), lang="zh-TW", html=tmp_path / "r.html")
    assert '<html lang="zh-Hant-TW">' in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "r.html" in capsys.readouterr().err


def test_an_unknown_language_is_refused():
    with pytest.raises(UsageError, match="no language"):
        evengrad.report(diagnosis(deep_sigmoid()), lang="klingon")
