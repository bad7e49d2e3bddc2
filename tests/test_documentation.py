"""The documents agree with each other, with CI and with the files they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts)
)
READMES = (ROOT / "README.md", ROOT / "README.zh-TW.md")


def set_up_commands(path: Path) -> list[str]:
    """Return the commands of a document that make a virtual environment."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("python3 -m venv")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert "://" in target or (page.parent / target).exists(), target


def test_both_readmes_have_the_same_two_commands() -> None:
    english, chinese = map(set_up_commands, READMES)
    assert english == chinese
    assert len(english) == 2
    assert "evengrad run examples/digits_sigmoid.py" in english[0]


def test_ci_runs_the_readme_s_second_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', set_up_commands(READMES[0])[1]]
    assert set_up_commands(ROOT / "CONTRIBUTING.md") == [set_up_commands(READMES[0])[1]]


def test_readmes_state_the_pin_of_torch() -> None:
    pin = re.search(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pin is not None
    for path in READMES:
        assert f" {pin[1]}" in path.read_text(encoding="utf-8")


def test_readmes_name_every_option_of_run() -> None:
    source = (ROOT / "src/evengrad/cli/commands/run.py").read_text(encoding="utf-8")
    names = re.findall(r"^    (\w+): Annotated\[", source, re.MULTILINE)
    options = {f"--{name.replace('_', '-')}" for name in names} - {"--program", "--arguments", "--module"}
    assert len(options) >= 8
    for path in READMES:
        assert {option for option in options if f"`{option}" not in path.read_text(encoding="utf-8")} == set()


def test_every_script_under_examples_is_run_by_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for script in (ROOT / "examples").glob("*.py"):
        assert script.name in tests or script.stem in tests, script.name
