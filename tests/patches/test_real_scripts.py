"""Every change, tried on every example and on scripts of all kinds, gives code that compiles or an instruction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from evengrad.core.info import SourceLine
from evengrad.core.plan import Act, Change, Risk, Setting
from evengrad.errors import PatchError
from evengrad.patches import Facts, SourceTree, load_tree, patch

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*(ROOT / "examples").glob("*.py"), *(ROOT / "tests" / "scripts").glob("*.py")])
SETTINGS: list[tuple[Act, dict[str, Setting]]] = [
    *((Act.CLIP, {"kind": kind, "threshold": 1.0}) for kind in ("norm", "value", "adaptive")),
    (Act.OPTIMIZE, {"lr": 0.01}),
    (Act.OPTIMIZE, {"lr_factor": 0.1, "weight_decay": 0.01}),
    (Act.OPTIMIZE, {"optimizer": "AdamW", "beta2": 0.99}),
    (Act.OPTIMIZE, {"schedule": "constant"}),
    (Act.WARM_UP, {"steps": 20.0}),
    (Act.PENALISE, {"coefficient": 0.01}),
    *((Act.INITIALISE, {"method": method}) for method in ("xavier", "he", "delta-orthogonal", "lsuv", "recurrent")),
    (Act.INITIALISE, {"method": "he", "replace": True}),
    (Act.SCALE, {"what": "input", "per": "column"}),
    (Act.SCALE, {"what": "target", "mean": 1.0, "std": 2.0}),
    (Act.PRECISION, {"dtype": "float32"}),
    *((Act.REORDER, {"fault": fault}) for fault in ("zero-grad-missing", "clip-after-step", "double-step")),
    *((Act.RECONNECT, {"fault": fault}) for fault in ("detached", "no-grad", "foreign", "unregistered", "auto")),
]


def changes(path: Path, lines: int) -> Iterator[Change]:
    """Yield every act without place, and those that need one at every few lines."""
    for act, settings in SETTINGS:
        yield Change("any", act, Risk.LOOP, tuple(settings.items()))
    for number in range(1, lines + 1, 9):
        place = (SourceLine(str(path), number),)
        yield Change("any", Act.GUARD, Risk.LOOP, (("operation", "auto"),), lines=place)
        for to in ("leaky-relu", "prelu", "identity"):
            yield Change("any", Act.ACTIVATE, Risk.LOOP, (("to", to), ("slope", 0.1)), lines=place)


@pytest.mark.slow
def test_what_is_written_compiles_and_what_is_not_is_an_instruction() -> None:
    outcomes: Counter[str] = Counter()
    for path in SCRIPTS[::2]:
        tree = load_tree([path])
        for change in changes(path, tree[str(path)].count("\n")):
            outcomes[_outcome(tree, change)] += 1
    assert outcomes["written"] > 500
    assert outcomes["refused"] > 500


def _outcome(tree: SourceTree, change: Change) -> str:
    refusal = ""
    try:
        new = patch(tree, change, Facts())
    except PatchError as error:
        refusal = str(error)
    if refusal:
        assert len(refusal) > 20
        assert not refusal.endswith(".")
        assert "does not fit" not in refusal, change
        return "refused"
    assert new.diff(tree)
    for path in new:
        compile(new[path].removeprefix("\ufeff"), path, "exec", dont_inherit=True)
    return "written"
