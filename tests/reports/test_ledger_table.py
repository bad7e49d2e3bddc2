from __future__ import annotations

import math

import pytest

from evengrad.core.finding import Evidence
from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry
from evengrad.reports.ledger_table import guilty_ledger, ledger_table
from evengrad.reports.text import texts
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding

EN = texts("en")


def ledger(*decades: float, **fields: object) -> Ledger:
    kinds = (EntryKind.WEIGHT, EntryKind.ACTIVATION)
    operations = ("Addmm", "Sigmoid")
    entries = tuple(
        LedgerEntry(f"net.{len(decades) - i}", operations[i % 2], kinds[i % 2], value)
        for i, value in enumerate(decades)
    )
    total = fields.pop("attenuation", math.fsum(decades))
    return Ledger(fields.pop("step", 0), "net.0", f"net.{len(decades)}", total, entries, **fields)


def test_the_sentence_says_who_took_how_much():
    table = ledger_table(ledger(-0.5, -2.0, -0.3, -2.9), EN)
    assert table.sentence == "Of the -5.7 decades between `net.4` and `net.0`: sigmoid derivatives -4.9, weights -0.8."


def test_shown_and_unshown_rows_add_up_to_the_total():
    made = ledger(*(-0.1 * index for index in range(1, 31)))
    table = ledger_table(made, EN)
    assert len(table.worst) == 5
    assert math.fsum([row.decades for row in table.worst] + [table.rest.decades]) == pytest.approx(made.attenuation)
    assert [row.text for row in table.worst[:2]] == ["-3.00", "-2.90"]
    assert math.fsum(row.decades for row in table.kinds) == pytest.approx(made.attenuation)


def test_parts_that_round_to_nothing_are_not_told():
    assert "weights" not in ledger_table(ledger(-0.01, -3.0), EN).sentence


def test_different_activations_are_told_as_derivatives():
    made = ledger(0.0, -1.0, 0.0, -1.0)
    mixed = (*made.entries[:3], LedgerEntry("net.1", "Tanh", EntryKind.ACTIVATION, -1.0))
    assert "activation derivatives -2.0" in ledger_table(Ledger(0, "a", "b", -2.0, mixed), EN).sentence


def test_uses_of_one_operation_are_one_row():
    entry = LedgerEntry("cell", "Tanh", EntryKind.ACTIVATION, -0.5)
    table = ledger_table(Ledger(0, "a", "b", -1.5, (entry, entry, entry), steps_in_time=3), EN)
    assert [(row.operation, row.text) for row in table.worst] == [("tanh ×3", "-1.50")]
    assert table.sentence.endswith("The path crosses 3 time steps.")


def test_a_blocked_path_names_where():
    table = ledger_table(ledger(-0.5, -math.inf, -0.3), EN)
    assert table.sentence == "Nothing of the gradient at `net.3` arrives at `net.0`: it is exactly zero after `net.2`."


def test_behind_a_blocked_operation_nothing_is_listed():
    table = ledger_table(ledger(-0.5, -math.inf, math.nan, math.nan, attenuation=-math.inf), EN)
    assert [row.text for row in table.worst] == ["-inf", "-0.50"]


def test_a_path_that_is_not_finite_says_so():
    assert "is not finite" in ledger_table(ledger(-0.5, math.nan), EN).sentence


def test_the_ledger_shown_is_the_one_that_the_evidence_speaks_of():
    trace = (
        TraceBuilder(steps=300)
        .mlp(4, "Sigmoid")
        .ledger(0, activation=-8.0)
        .ledger(4, activation=-5.4)
        .ledger(64, activation=-1.0)
        .build()
    )
    made = finding(modules=("net.0",), evidence=(Evidence("gradient across depth", -5.4, -4.0, "decades", "net.0"),))
    assert guilty_ledger(diagnosis(trace, made)).step == 4


def test_the_ledger_shown_is_on_the_path_that_the_finding_names():
    trace = (
        TraceBuilder()
        .mlp(4, "Sigmoid")
        .ledger(0, activation=-5.4, first="g.0", last="g.6")
        .ledger(0, activation=-5.4)
        .build()
    )
    made = finding(modules=("net.0",), evidence=())
    assert guilty_ledger(diagnosis(trace, made)).first == "net.0"


def test_a_ledger_that_says_nothing_is_not_shown_while_another_does():
    trace = TraceBuilder().mlp(4).ledger(0, activation=-0.4).ledger(8, attenuation=math.nan).build()
    made = finding("non-finite", first_step=8, last_step=8, modules=("net.0",), evidence=())
    assert guilty_ledger(diagnosis(trace, made)).step == 0


def test_a_healthy_run_shows_its_last_ledger():
    trace = deep_sigmoid(3, steps=300)
    assert guilty_ledger(diagnosis(trace)).step == 256


def test_a_finding_of_nothing_measured_still_gets_a_ledger():
    made = finding(evidence=(Evidence("x", math.nan, None, "decades"),))
    assert guilty_ledger(diagnosis(deep_sigmoid(3), made)) is not None
    assert guilty_ledger(diagnosis(TraceBuilder().build(), made)) is None
