"""The store: bounded, complete for those who drain, safe under threads."""

from __future__ import annotations

import threading

from evengrad.core.event import EventKind
from evengrad.core.ledger import Ledger
from evengrad.core.statistic import Statistic
from evengrad.observation.store import Store


def test_a_long_series_is_thinned_but_keeps_its_ends() -> None:
    store = Store()
    for step in range(50_000):
        store.add(step, Statistic.LOSS, "", float(step))
    series = store.series()[Statistic.LOSS, ""]
    assert len(series) <= 4096
    assert series.first() == 0.0
    assert series.last() == 49_999.0
    assert list(series.steps) == sorted(series.steps)
    assert all(step == value for step, value in zip(series.steps, series.values, strict=True))


def test_many_series_share_one_bound() -> None:
    store = Store()
    for step in range(400):
        for subject in range(8000):
            if step % 40 == 0 or subject < 3:
                store.add(step, Statistic.GRAD_RMS, str(subject), 1.0)
    assert len(store.series()[Statistic.GRAD_RMS, "0"]) <= 1_000_000 // 8000 + 160


def test_draining_loses_and_repeats_nothing() -> None:
    store = Store()
    store.add(0, Statistic.LOSS, "", 1.0)
    seen = store.drain()
    for step in range(1, 6000):
        store.add(step, Statistic.LOSS, "", float(step))
        if step % 700 == 0:
            seen += store.drain()
    seen += store.drain()
    assert [row[0] for row in seen] == list(range(6000))


def test_events_of_one_kind_are_counted() -> None:
    store = Store()
    for step in (3, 5, 9):
        store.note(EventKind.DOUBLE_STEP, step)
    (event,) = store.events()
    assert (event.step, event.count, event.last_step) == (3, 3, 9)


def test_ledgers_are_bounded_and_the_first_stays() -> None:
    store = Store()
    for step in range(500):
        store.add_ledger(Ledger(step, "a", "b", 0.0, ()))
    steps = [ledger.step for ledger in store.ledgers()]
    assert len(steps) <= 24
    assert steps[0] == 0
    assert steps[-1] == 499


def test_reading_while_another_thread_writes() -> None:
    store = Store()
    rows = []

    def write() -> None:
        for step in range(3000):
            store.add(step, Statistic.GRAD_RMS, str(step % 50), 1.0)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        rows += store.drain()
        store.series()
    thread.join()
    rows += store.drain()
    assert len(rows) == 3000
