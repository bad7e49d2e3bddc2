"""What finished runs left."""

from __future__ import annotations

import math
from pathlib import Path

from evengrad.core.trial import Curve
from evengrad.trials.process import Stop, finals
from evengrad.trials.store import Store, fix_folder, text_key


def test_what_was_kept_is_found_again_to_the_bit(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    curve = Curve(2, (0.1 + 0.2, math.inf, math.nan), finals=(("loss", 0.1),))
    store.keep("a-2", Stop(curve, None))
    found = Store(tmp_path / "runs").find("a-2", 3)
    assert found is not None
    assert [loss.hex() for loss in found.curve.losses] == [loss.hex() for loss in curve.losses]
    assert found.curve.finals == curve.finals
    assert store.find("a-2", 2) is None
    assert store.find("a-2", 4) is None
    assert store.find("b-2", 3) is None


def test_a_run_that_ended_answers_for_every_later_step(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.keep("a-0", Stop(Curve(0, (1.0, 2.0), ended=True), None))
    assert store.find("a-0", 10) is not None
    assert store.find("a-0", None) is not None
    assert store.find("a-0", 1) is None


def test_a_record_that_a_kill_left_half_written_does_not_count(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.keep("a-0", Stop(Curve(0, (1.0,)), None))
    (tmp_path / "runs" / "a-0" / "at-1" / "reached.json").unlink()
    assert store.find("a-0", 1) is None
    store.keep("a-0", Stop(Curve(0, (1.0,)), None))
    (tmp_path / "runs" / "a-0" / "at-1" / "losses.json").write_text("[")
    assert store.find("a-0", 1) is None


def test_names_depend_on_content_alone(tmp_path: Path) -> None:
    assert text_key({"a": "1", "b": "2"}) == text_key({"b": "2", "a": "1"})
    assert text_key({"a": "1"}) != text_key({"a": "2"})
    assert fix_folder(tmp_path, ("x", 1)) == fix_folder(tmp_path, ("x", 1))
    assert fix_folder(tmp_path, ("x", 1)) != fix_folder(tmp_path, ("x", 2))


def test_printed_figures_are_read() -> None:
    assert finals("noise\nFINAL loss=0.5\nFINAL acc = 1e-3\nFINAL loss=0.25\nFINAL bad=x\nNOT FINAL a=1\n") == (
        ("loss", 0.25),
        ("acc", 0.001),
    )
