"""Parquet parts: names, content, merging."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.recording.parts import COLUMNS, FAN_IN, PartRange, PartWriter, Row
from evengrad.recording.series import read_series
from tests.recording.samples import assert_holds, random_rows


def assert_read_back(folder: Path, rows: list[Row]) -> None:
    read = read_series(folder)
    assert read.whole
    assert_holds(Trace(series=read.series), rows)


def small_rows(part: int) -> list[Row]:
    return [(part, Statistic.LOSS, "", part / 7), (part, Statistic.GRAD_RMS, f"net.{part % 3}", -0.0)]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("part-000000.parquet", PartRange(0, 0)),
        ("part-000016-000031.parquet", PartRange(16, 31)),
        ("part-1234567.parquet", PartRange(1234567, 1234567)),
    ],
)
def test_a_part_is_named_for_the_flushes_it_holds(name: str, part: PartRange) -> None:
    assert PartRange.parse(name) == part
    assert part.file_name == name


@pytest.mark.parametrize(
    "name",
    ["part-0.parquet", ".part-000000.parquet.tmp", "part-000005-000002.parquet", "part-000000.parquet.bak",
     "part-٠٠٠٠٠٠.parquet", "part-" + "1" * 5000 + ".parquet", "ledgers.jsonl", "part-000000.parquet\n"],
)  # fmt: skip
def test_other_names_are_no_parts(name: str) -> None:
    assert PartRange.parse(name) is None


def test_rows_are_read_back_to_the_bit(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    rows = [random_rows(seed, first_step=seed * 20) for seed in range(5)]
    for part in rows:
        writer.append(part)
    assert_read_back(tmp_path, [row for part in rows for row in part])


def test_columns_have_the_types_of_the_contract(tmp_path: Path) -> None:
    PartWriter(tmp_path).append(random_rows(1))
    schema = pq.read_schema(tmp_path / "part-000000.parquet")
    assert tuple(schema.names) == COLUMNS
    text = "dictionary<values=string, indices=int32, ordered=0>"
    assert [str(kind) for kind in schema.types] == ["int64", text, text, "double"]
    metadata = pq.read_metadata(tmp_path / "part-000000.parquet").row_group(0)
    assert {metadata.column(index).compression for index in range(4)} == {"ZSTD"}


def test_the_last_row_of_a_step_counts(tmp_path: Path) -> None:
    rows: list[Row] = [(5, Statistic.LOSS, "", 1.0), (3, Statistic.LOSS, "", 2.0), (5, Statistic.LOSS, "", 3.0)]
    later: list[Row] = [(3, Statistic.LOSS, "", 4.0)]
    writer = PartWriter(tmp_path)
    writer.append(rows)
    writer.append(later)
    assert_read_back(tmp_path, rows + later)
    assert read_series(tmp_path).series[Statistic.LOSS, ""].values.tolist() == [4.0, 3.0]


def test_a_name_that_is_not_utf8_does_not_stop_recording(tmp_path: Path) -> None:
    PartWriter(tmp_path).append([(0, Statistic.GRAD_RMS, "a\udc80b", 1.0)])
    assert list(read_series(tmp_path).series) == [(Statistic.GRAD_RMS, "a\\udc80b")]


def test_merging_keeps_every_row_and_bounds_the_number_of_parts(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    rows: list[Row] = []
    for part in range(FAN_IN**2 + FAN_IN + 3):
        rows += small_rows(part)
        writer.append(small_rows(part))
        writer.compact()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "part-000000-000255.parquet",
        "part-000256-000271.parquet",
        *(f"part-{n:06d}.parquet" for n in (272, 273, 274)),
    ]
    assert_read_back(tmp_path, rows)


def test_a_kill_between_merging_and_removing_counts_nothing_twice(tmp_path: Path) -> None:
    folder, copy = tmp_path / "trace", tmp_path / "copy"
    folder.mkdir()
    writer = PartWriter(folder)
    rows: list[Row] = []
    for part in range(FAN_IN):
        # Two rows for one step, in different parts: reading a part twice, or in another order, would show.
        rows += [(0, Statistic.LOSS, "", float(part)), *small_rows(part)]
        writer.append([(0, Statistic.LOSS, "", float(part)), *small_rows(part)])
    shutil.copytree(folder, copy)
    writer.compact()
    assert [path.name for path in folder.iterdir()] == ["part-000000-000015.parquet"]
    assert_read_back(folder, rows)
    for name in sorted(path.name for path in copy.iterdir())[3:12]:
        shutil.copy(copy / name, folder)
    assert_read_back(folder, rows)


def test_small_parts_serve_when_the_merged_one_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = PartWriter(tmp_path)
    rows: list[Row] = []
    for part in range(FAN_IN):
        rows += small_rows(part)
        writer.append(small_rows(part))
    (tmp_path / "part-000000-000015.parquet").write_bytes(b"PAR1 torn")
    read = read_series(tmp_path)
    assert not read.whole
    assert_holds(Trace(series=read.series), rows)
    assert "skipped part-000000-000015.parquet: not a readable Parquet file" in caplog.text


def test_merging_groups_small_batches_into_large_ones(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for part in range(FAN_IN):
        writer.append(small_rows(part))
    writer.compact()
    assert pq.read_metadata(tmp_path / "part-000000-000015.parquet").num_row_groups == 1


def test_a_failed_write_leaves_no_part_behind(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    with pytest.raises(ValueError, match="could not convert"):
        writer.append([(0, Statistic.LOSS, "", "high")])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
    writer.append(small_rows(0))
    assert_read_back(tmp_path, small_rows(0))


@pytest.mark.parametrize("phase", range(4))
def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path, phase: int) -> None:
    rows = random_rows(1, steps=8)
    PartWriter(tmp_path).append(rows)
    path = tmp_path / "part-000000.parquet"
    good = path.read_bytes()
    noticed = 0
    for position in range(phase, len(good), 8):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1 << position % 7]) + good[position + 1 :])
        read = read_series(tmp_path)
        if read.whole:
            assert_holds(Trace(series=read.series), rows)
        noticed += not read.whole
    assert noticed > len(good) / 8 / 2


def test_writing_does_not_import_pandas_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("raise SystemExit('pandas was imported')\n", encoding="utf-8")
    code = """
        import sys
        from pathlib import Path
        from evengrad.core.statistic import Statistic
        from evengrad.recording.parts import PartWriter
        writer = PartWriter(Path(sys.argv[1]))
        for step in range(16):
            writer.append([(step, Statistic.LOSS, "", 1.0)])
        writer.compact()
    """
    (tmp_path / "trace").mkdir()
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{textwrap.dedent(code)}"]
    subprocess.run([*command, str(tmp_path / "trace")], check=True)
    assert [path.name for path in (tmp_path / "trace").iterdir()] == ["part-000000-000015.parquet"]
