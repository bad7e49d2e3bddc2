from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import evengrad
from evengrad.errors import UsageError
from tests.builders import deep_sigmoid, diagnosis, finding

ROOT = Path(__file__).parents[2]


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


def test_reports_need_no_torch():
    # A report is made from a file, in CI, where no torch is installed.
    code = (
        "import sys; from tests.builders import *; from evengrad.reports.document import build_document;"
        "from evengrad.reports.html import render_html; from evengrad.reports.json_report import render_json;"
        "from evengrad.reports.markdown import render_markdown; import evengrad.reports.report;"
        "made = diagnosis(deep_sigmoid(3), finding()); document = build_document(made);"
        "render_html(document); render_json(made); render_markdown(document);"
        "print('torch' in sys.modules)"
    )
    paths = os.pathsep.join(str(ROOT / name) for name in ("src", ""))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
