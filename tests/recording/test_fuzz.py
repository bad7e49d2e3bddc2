"""Whatever happened to a folder, reading it ends in a trace or in an error of ours."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evengrad.core.trace import Trace
from evengrad.errors import EvengradError
from evengrad.recording.folder import RunFolder, read_trace
from tests.core.random_values import WORDS, random_trace
from tests.recording.samples import random_rows

CHUNKS = 8
MUTATIONS = 50  # in each chunk


def cut(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size + 1))


def flip_bits(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 9) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def overwrite(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data) + 1)
    data[start : start + rng.randrange(200)] = rng.randbytes(rng.randrange(200))
    path.write_bytes(data)


def tear_footer(path: Path, rng: random.Random) -> None:
    """Flip bits near the end, where Parquet keeps its table of contents."""
    data = bytearray(path.read_bytes())
    for _ in range(min(len(data), 3)):
        data[-rng.randrange(1, min(len(data), 900) + 1)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def swap_with_another(path: Path, rng: random.Random) -> None:
    run = path.parent.parent if path.parent.name == "trace" else path.parent
    others = sorted(other for other in run.rglob("*") if other.is_file())
    path.write_bytes(rng.choice(others).read_bytes())


def make_folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def rename_part(path: Path, rng: random.Random) -> None:
    name = rng.choice(["part-000000-000009.parquet", "part-000001-000002.parquet", "part-999999999.parquet"])
    path.rename(path.with_name(name))


def change_json(path: Path, rng: random.Random) -> None:
    """Replace one value somewhere in a JSON file, or one line of several, by another that is JSON."""
    try:
        lines = [json.loads(path.read_bytes())]
    except ValueError:
        try:
            lines = [json.loads(line) for line in path.read_bytes().splitlines() if line]
        except ValueError:
            return  # a part, or damaged before
    if lines:
        index = rng.randrange(len(lines))
        lines[index] = _changed(lines[index], rng)
    path.write_text("\n".join(json.dumps(line) for line in lines))


def _changed(value: object, rng: random.Random) -> object:
    other: tuple[object, ...] = (None, True, -1, 2**63, 1e308, "", "NaN", rng.choice(WORDS), [], {}, [[]], {"a": [1]})
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = rng.randrange(len(value))
        return [*value[:index], _changed(value[index], rng), *value[index + 1 :]]
    return rng.choice(other)


Mutation = Callable[[Path, random.Random], None]
MUTATE: tuple[Mutation, ...] = (
    cut, flip_bits, overwrite, tear_footer, delete, swap_with_another, make_folder, rename_part,
    change_json, change_json,
)  # fmt: skip


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = RunFolder.create("train.py", tmp_path_factory.mktemp("intact"))
    for part in range(18):
        folder.append(random_rows(part, first_step=5 * part, steps=5))
        folder.compact()
    folder.write_state(dataclasses.replace(random_trace(5), completed=True))
    return folder.path


def mutate(run: Path, rng: random.Random) -> list[str]:
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        files = sorted(path for path in run.rglob("*") if path.is_file())
        if files:
            path = rng.choice(files)
            mutation = rng.choice(MUTATE)
            done.append(f"{mutation.__name__} {path.name}")
            mutation(path, rng)
    return done


def outcome(run: Path) -> str:
    """Return what reading ends in: a trace, or the class of an error of ours; anything else is raised."""
    try:
        trace = read_trace(run)
    except EvengradError as error:
        return type(error).__name__ if len(str(error).splitlines()) == 1 else "an error of many lines"
    assert isinstance(trace, Trace)
    for series in trace.series.values():
        assert len(series.steps) == len(series.values) > 0
        assert (series.steps[1:] > series.steps[:-1]).all()
    return "whole" if trace.completed else "damaged"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_reading_a_mutated_folder_ends_in_a_trace_or_an_error_of_ours(intact: Path, tmp_path: Path, chunk: int) -> None:
    logging.getLogger("evengrad.recording").setLevel(logging.ERROR)
    try:
        outcomes = set()
        for number in range(MUTATIONS):
            seed = chunk * MUTATIONS + number
            run = tmp_path / str(seed)
            shutil.copytree(intact, run)
            print(f"seed {seed}:", mutate(run, random.Random(seed)))  # shown when it fails
            outcomes.add(outcome(run))
    finally:
        logging.getLogger("evengrad.recording").setLevel(logging.NOTSET)
    assert outcomes <= {"damaged", "whole", "SchemaError", "RunFolderError"}
    assert {"damaged", "whole", "SchemaError"} <= outcomes  # the mutations reach all of it


def test_the_folder_that_is_mutated_is_whole(intact: Path) -> None:
    assert outcome(intact) == "whole"
