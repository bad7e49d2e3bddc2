"""Write the pages under docs/rules/ and docs/remedies/ from what the classes say of themselves.

python tools/rule_pages.py            write them
python tools/rule_pages.py --check    say which of them are out of date, and exit with 1 if any is
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from evengrad.cli.pages import Item, page, summary
from evengrad.diagnosis.diagnose import catalogue_rules
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.reports.text import texts

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = "<!-- Made by tools/rule_pages.py from the {kind}'s class; change that, then run the tool. -->\n\n"
KINDS = {"rules": "rule", "remedies": "remedy"}

RULES_ENGLISH = """# Rules

Every finding of a report comes from one of these rules, and `evengrad explain RULE` prints its page. A rule is a pure
function of a trace; its thresholds are the fields of its class. [中文](README.zh-TW.md)

| rule | it finds |
| --- | --- |
"""

RULES_CHINESE = """# 規則

報告裡的每一項發現都出自下列規則之一；`evengrad explain RULE` 會印出該規則的說明頁（英文）。[English](README.md)

| 規則 | 名稱 | 說明 |
| --- | --- | --- |
"""

REMEDIES_ENGLISH = """# Remedies

What may repair a fault, under which measured cause. `evengrad explain REMEDY` prints its page; `evengrad.prescribe`
proposes them for a diagnosis, with numbers from the run. [中文](README.zh-TW.md)

| remedy | it reaches | what it does |
| --- | --- | --- |
"""

REMEDIES_CHINESE = """# 補救方法

依測得的成因，可能修好問題的做法。`evengrad explain REMEDY` 會印出它的說明頁（英文）；
`evengrad.prescribe` 會依診斷提出它們，其中的數值取自這次訓練。[English](README.md)

| 補救方法 | 說明 |
| --- | --- |
"""


def pages() -> dict[str, str]:
    """Return every page by its path under docs/."""
    rules, remedies = catalogue_rules(), catalogue_remedies()
    chinese = texts("zh-TW")
    tables = {
        "rules/README.md": (RULES_ENGLISH, [f"[{n}]({n}.md) | {summary(r)}" for n, r in rules.items()]),
        "rules/README.zh-TW.md": (
            RULES_CHINESE,
            [f"[{n}]({n}.md) | {chinese.say(f'rule.{n}.title')} | {chinese.say(f'rule.{n}.about')}" for n in rules],
        ),
        "remedies/README.md": (
            REMEDIES_ENGLISH,
            [f"[{n}]({n}.md) | {r.risk.value} | {summary(r)}" for n, r in remedies.items()],
        ),
        "remedies/README.zh-TW.md": (
            REMEDIES_CHINESE,
            [f"[{n}]({n}.md) | {chinese.remedy(n) or summary(r)}" for n, r in remedies.items()],
        ),
    }
    lists = {path: head + "".join(f"| {row} |\n" for row in rows) for path, (head, rows) in tables.items()}
    made = {**_each("rules", rules), **_each("remedies", remedies), **lists}
    return {path: NOTE.format(kind=KINDS[path.partition("/")[0]]) + text for path, text in made.items()}


def _each(folder: str, items: Mapping[str, Item]) -> dict[str, str]:
    """Return the page of every item by its path."""
    return {f"{folder}/{name}.md": page(item) for name, item in items.items()}


def outdated() -> list[str]:
    """Return the paths of files that are missing, differ, or belong to nothing any more."""
    made = pages()
    there = {
        str(path.relative_to(DOCS)): path.read_text(encoding="utf-8")
        for folder in KINDS
        for path in (DOCS / folder).glob("*.md")
    }
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main() -> int:
    """Write or check the pages; return the exit code."""
    if sys.argv[1:] == ["--check"]:
        wrong = outdated()
        for name in wrong:
            print(f"docs/{name} is out of date: run python tools/rule_pages.py")
        return 1 if wrong else 0
    made = pages()
    for name in set(outdated()) - made.keys():
        (DOCS / name).unlink()
    for name, text in made.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
