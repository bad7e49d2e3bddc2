"""Wrong command lines, and commands that need no run: one clear line, and the right exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import evengrad
from evengrad.cli.main import parse
from tests.cli.harness import environment, execute


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, with some files to trip over, and leave the module path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "train.py").write_text("print('never run')")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "null.py").write_bytes(b"a\0b")
    (tmp_path / "cookie.py").write_bytes(b"# coding: klingon\n")
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path


def assert_refused(capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, *words: str) -> None:
    """Assert that a command line is refused in one line on stderr that holds ``words``, and nothing is run."""
    assert parse(arguments) == code
    seen = capfd.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("evengrad: ")
    assert seen.err.count("\n") == 1
    for word in words:
        assert word in seen.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["nothing to run", "script.py"]),
        (["run", "-m"], ["nothing to run", "-m package.module"]),
        (["run", "nope.py"], ["no script 'nope.py' in", "-m"]),
        (["run", "."], ["'.' is a directory"]),
        (["run", ""], ["expected the path"]),
        (["run", "broken.py"], ["broken.py:2", "not valid Python", "def f(:"]),
        (["run", "null.py"], ["null.py", "null bytes"]),
        (["run", "cookie.py"], ["cookie.py", "klingon"]),
        (["run", "train.py/x.py"], ["cannot read 'train.py/x.py'", "Not a directory"]),
        (["run", "-m", "no_such_package.train"], ["no module named 'no_such_package'"]),
        (["run", "-m", ".train"], ["no module named", "dotted name"]),
        (["run", "--budget", "-1", "train.py"], ["--budget is -1", "above 0 and at most 1"]),
        (["run", "--budget", "0", "train.py"], ["--budget is 0"]),
        (["run", "--budget", "1.5", "train.py"], ["--budget is 1.5"]),
        (["run", "--budget", "nan", "train.py"], ["--budget is nan"]),
        (["run", "--budget", "1%", "train.py"], ["--budget is 1%", "0.01 is 1 %"]),
        (["run", "--steps", "0", "train.py"], ["--steps is 0", "at least 1"]),
        (["run", "--steps", "many", "train.py"], ["--steps is many"]),
        (["run", "--fail-on", "info", "train.py"], ["--fail-on", "'info'", "warning", "error"]),
        (["run", "--lang", "fr", "train.py"], ["--lang", "'fr'", "zh-tw"]),
        (["run", "--json", ".", "train.py"], ["--json is '.', a folder"]),
        (["run", "--html", "no/such/x.html", "train.py"], ["--html", "no folder 'no/such'"]),
        (["run", "-o", "notes.txt", "train.py"], ["--output is 'notes.txt', a file"]),
        (["run", "--jsn", "x", "train.py"], ["no such option: --jsn", "evengrad run --help"]),
        (["run", "--json"], ["'--json' requires an argument"]),
        (["rnu", "train.py"], ["no such command 'rnu'"]),
        (["--frob"], ["no such option: --frob"]),
        (["report"], ["missing argument", "RUN"]),
        (["report", "x", "--format", "pdf"], ["--format", "'pdf'"]),
        (["explain", "vanishing"], ["no rule or remedy 'vanishing'", "did you mean 'vanishing-gradient'"]),
        (["explain", "Dead_Units"], ["did you mean 'dead-units'"]),
        (["explain", "zzz"], ["no rule or remedy 'zzz'", "there is:", "dead-units"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert_refused(capfd, arguments, 2, *words)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("nope", ["no run folder nope"]),
        ("notes.txt", ["notes.txt is a file", "run folder"]),
        (".", ["has no run.json"]),
    ],
)
def test_unreadable_run_folder_is_one_line_and_exit_code_3(
    run: str, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert_refused(capfd, ["report", run], 3, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"schema": "evengrad.report/1"}', ["run.json", "evengrad.run/1", "evengrad.report/1"]),
        ('{"schema": "evengrad.run/999"}', ["run.json", "evengrad.run/999"]),
        ('{"schema": "evengrad.run/1", "steps"', ["run.json"]),
        ("[1, 2]", ["run.json"]),
        ("\x00\xff", ["run.json"]),
    ],
)
def test_run_json_of_another_kind_is_one_line_and_exit_code_3(
    content: str, words: list[str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = folder / "run"
    run.mkdir()
    (run / "run.json").write_text(content, encoding="latin-1")
    assert_refused(capfd, ["report", "run"], 3, *words)


def test_version_is_the_package_s(capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(["--version"]) == 0
    assert capfd.readouterr().out == f"evengrad {evengrad.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["run", "--help"], ["report", "-h"], ["explain", "--help"]])
def test_help_names_what_there_is(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(arguments) == 0
    shown = capfd.readouterr().out
    assert "Usage: evengrad" in shown
    words = {"run": ["--json", "--html", "--output", "--budget", "--steps", "--fail-on", "--lang", "--quiet", "-m"]}
    commands = ["run", "report", "explain"]
    assert all(word in shown for word in (words.get(arguments[0], []) if len(arguments) == 2 else commands))


def test_options_after_the_script_belong_to_the_script(folder: Path) -> None:
    (folder / "show.py").write_text("import sys; print(sys.argv)")
    arguments = ["--json", "x", "--budget", "-1", "-h", "--", "-m", "--version"]
    shown = execute(["-m", "evengrad", "run", "--quiet", "show.py", *arguments], folder)
    assert shown.stdout == f"{['show.py', *arguments]}\n"
    assert shown.code == 0
    assert not (folder / "x").exists()


def test_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    command = f"{sys.executable} -m evengrad explain | head -1"
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("bad-initialisation")


def test_public_names_are_all_there_and_import_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys, evengrad; heavy = {'torch', 'numpy', 'rich', 'typer', 'pyarrow'} & set(sys.modules); "
        "assert not heavy, heavy; assert set(evengrad.__all__) <= set(dir(evengrad)); "
        "[getattr(evengrad, name) for name in evengrad.__all__]; print('all')"
    )
    assert execute(["-c", code], folder).stdout == "all\n"


def test_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'frobnicate'"):
        evengrad.frobnicate  # type: ignore[attr-defined]  # noqa: B018
