"""Write the rules' pages under docs/rules/ from what the rule classes say of themselves.

python tools/rule_pages.py            write them
python tools/rule_pages.py --check    say which of them are out of date, and exit with 1 if any is
"""

from __future__ import annotations

import sys
from pathlib import Path

from evengrad.cli.pages import page, summary
from evengrad.diagnosis.diagnose import catalogue_rules
from evengrad.reports.text import texts

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "rules"
NOTE = "<!-- Made by tools/rule_pages.py from the rule's class; change that, then run the tool. -->\n\n"

ENGLISH = """# Rules

Every finding of a report comes from one of these rules, and `evengrad explain RULE` prints its page. A rule is a pure
function of a trace; its thresholds are the fields of its class. [中文](README.zh-TW.md)

| rule | it finds |
| --- | --- |
"""

CHINESE = """# 規則

報告裡的每一項發現都出自下列規則之一；`evengrad explain RULE` 會印出該規則的說明頁（英文）。[English](README.md)

| 規則 | 名稱 | 說明 |
| --- | --- | --- |
"""


def pages() -> dict[str, str]:
    """Return every page by file name."""
    rules = catalogue_rules()
    chinese = texts("zh-TW")
    made = {f"{name}.md": NOTE + page(rule) for name, rule in rules.items()}
    made["README.md"] = (
        NOTE + ENGLISH + "".join(f"| [{name}]({name}.md) | {summary(r)} |\n" for name, r in rules.items())
    )
    made["README.zh-TW.md"] = (
        NOTE
        + CHINESE
        + "".join(
            f"| [{name}]({name}.md) | {chinese.say(f'rule.{name}.title')} | {chinese.say(f'rule.{name}.about')} |\n"
            for name in rules
        )
    )
    return made


def outdated() -> list[str]:
    """Return the names of files that are missing, differ, or belong to no rule any more."""
    made = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main() -> int:
    """Write or check the pages; return the exit code."""
    if sys.argv[1:] == ["--check"]:
        wrong = outdated()
        for name in wrong:
            print(f"docs/rules/{name} is out of date: run python tools/rule_pages.py")
        return 1 if wrong else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in set(outdated()) - pages().keys():
        (FOLDER / name).unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
