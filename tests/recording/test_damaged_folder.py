"""What a reader makes of folders that are damaged, made by strangers, or still being written."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.errors import EvengradError, RunFolderError, SchemaError
from evengrad.recording import series as series_module
from evengrad.recording.folder import RunFolder, read_trace
from tests.core.random_values import assert_same, random_trace
from tests.recording.samples import assert_holds, contents, filled_folder, random_rows


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"^there is no run folder .*nowhere; runs are kept in \.evengrad/"):
        read_trace(tmp_path / "nowhere")


def test_a_path_no_system_allows() -> None:
    with pytest.raises(RunFolderError, match="no run folder"):
        read_trace(Path("a\0b"))


def test_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="File name too long"):
        read_trace(tmp_path / ("x" * 5000))


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    path = filled_folder(tmp_path).path / "run.json"
    with pytest.raises(RunFolderError, match=r"run\.json is a file, expected a run folder"):
        read_trace(path)


def test_a_folder_without_run_json_is_told_where_runs_are(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"has no run\.json, so it is not a run folder$"):
        read_trace(tmp_path)
    run = filled_folder(tmp_path).path
    for path in (tmp_path, tmp_path / ".evengrad"):
        with pytest.raises(RunFolderError, match=f"the newest run in it is {re.escape(str(run))}$"):
            read_trace(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"schema": "evengrad.run/1", "steps', "not valid JSON"),
        (b"\x00\xff\xfe\x80", "not valid JSON"),
        (b'{"schema": "evengrad.run/2"}', "upgrade evengrad"),
        (b'{"schema": "evengrad.report/1", "verdict": "healthy"}', "another kind of file"),
        (b'{"steps": 3}', "has no schema"),
        (b'{"schema": "evengrad.run/1", "steps": "many"}', 'steps should be an integer of 64 bits, is "many"'),
    ],
)
def test_a_run_json_that_is_not_ours(tmp_path: Path, content: bytes, message: str) -> None:
    folder = filled_folder(tmp_path)
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(SchemaError, match=message):
        read_trace(folder.path)


def test_a_run_json_that_is_no_file(tmp_path: Path) -> None:
    path = filled_folder(tmp_path).path / "run.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(RunFolderError, match=r"run\.json should be a file, is a folder"):
        read_trace(path.parent)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are made with os.mkfifo")
@pytest.mark.parametrize("name", ["run.json", "events.jsonl", "trace/ledgers.jsonl", "trace/part-000001.parquet"])
def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = filled_folder(tmp_path).path
    (path / name).unlink()
    os.mkfifo(path / name)
    if name == "run.json":
        with pytest.raises(RunFolderError, match="is a pipe"):
            read_trace(path)
    else:
        assert not read_trace(path).completed
        assert "is a pipe" in caplog.text


def test_a_file_far_too_large_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = filled_folder(tmp_path).path
    for name in ("events.jsonl", "trace/part-000001.parquet", "run.json"):
        os.truncate(path / name, 2**40)  # sparse
        if name != "run.json":
            assert not read_trace(path).completed
            assert "more than the" in caplog.text
            caplog.clear()
    with pytest.raises(RunFolderError, match=r"run\.json has 1099511627776 bytes, more than the 134217728"):
        read_trace(path)


def completed_folder(tmp_path: Path) -> Path:
    folder = RunFolder.create("train.py", tmp_path)
    for part in range(3):
        folder.append(random_rows(part, first_step=20 * part))
    folder.write_state(dataclasses.replace(random_trace(1), completed=True))
    assert read_trace(folder.path).completed
    return folder.path


PARTS = [random_rows(part, first_step=20 * part) for part in range(3)]
ODD_COLUMNS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "a column is missing": lambda table: table.drop_columns(["value"]),
    "steps are text": lambda table: table.set_column(0, "step", pa.array(["a"] * len(table))),
    "values are whole numbers": lambda table: table.set_column(3, "value", pa.array(range(len(table)))),
    "subjects are numbers": lambda table: table.set_column(2, "subject", pa.array(range(len(table)))),
    "steps are missing": lambda table: table.set_column(0, "step", pa.array([None] * len(table), pa.int64())),
    "steps are negative": lambda table: table.set_column(0, "step", pa.array([-1] * len(table))),
    "subjects are missing": lambda table: table.set_column(2, "subject", pa.array([None] * len(table), pa.string())),
    "there are no columns": lambda table: table.select([]),
    "columns have structure": lambda table: pa.table({"step": [{"step": 1}], "value": [[1.0]]}),
}


@pytest.mark.parametrize("case", ODD_COLUMNS)
def test_a_part_with_other_columns_is_skipped(tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    path = completed_folder(tmp_path)
    part = path / "trace" / "part-000001.parquet"
    pq.write_table(ODD_COLUMNS[case](pq.read_table(part)), part)
    trace = read_trace(path)
    assert not trace.completed
    assert_holds(trace, PARTS[0] + PARTS[2])
    assert "skipped part-000001.parquet" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbled"])
def test_a_damaged_part_is_skipped_and_the_others_are_used(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = completed_folder(tmp_path)
    part = path / "trace" / "part-000001.parquet"
    part.write_bytes({"truncated": part.read_bytes()[:-40], "emptied": b"", "garbled": b"PAR1" * 50}[damage])
    trace = read_trace(path)
    assert not trace.completed
    assert_holds(trace, PARTS[0] + PARTS[2])
    assert "skipped part-000001.parquet: not a readable Parquet file" in caplog.text


@pytest.mark.parametrize("number", [0, 1])
def test_a_part_that_is_missing_is_noticed(tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture) -> None:
    path = completed_folder(tmp_path)
    (path / "trace" / f"part-00000{number}.parquet").unlink()
    trace = read_trace(path)
    assert not trace.completed
    assert_holds(trace, [row for index, part in enumerate(PARTS) if index != number for row in part])
    assert f"parts {number} to {number} of trace are missing" in caplog.text


def test_a_part_that_leads_nowhere_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = completed_folder(tmp_path)
    part = path / "trace" / "part-000001.parquet"
    part.unlink()
    part.symlink_to(tmp_path / "nowhere")
    trace = read_trace(path)
    assert not trace.completed
    assert_holds(trace, PARTS[0] + PARTS[2])
    assert "skipped part-000001.parquet" in caplog.text


def test_a_run_that_is_still_going_on_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = RunFolder.create("train.py", tmp_path)
    appended = 0

    def write() -> None:
        nonlocal appended
        for step in range(200):
            folder.append([(step, Statistic.LOSS, "", step / 3)])
            appended += 1
            folder.compact()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while writer.is_alive():
        before = appended
        steps = read_trace(folder.path).get(Statistic.LOSS).steps.tolist()
        assert steps == list(range(len(steps)))
        assert len(steps) >= before
        reads += 1
    writer.join()
    assert reads > 2
    assert "missing" not in caplog.text
    assert "skipped" not in caplog.text


def test_plain_text_columns_are_read_as_well(tmp_path: Path) -> None:
    path = completed_folder(tmp_path)
    part = path / "trace" / "part-000001.parquet"
    table = pq.read_table(part)
    plain = pa.table({name: table[name].cast(pa.string()) if i in (1, 2) else table[name]
                      for i, name in enumerate(table.column_names)})  # fmt: skip
    pq.write_table(plain, part, store_schema=False)
    assert_holds(read_trace(path), PARTS[0] + PARTS[1] + PARTS[2])


def test_statistics_of_a_newer_version_are_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = completed_folder(tmp_path)
    part = path / "trace" / "part-000001.parquet"
    table = pq.read_table(part)
    names = ["hessian_trace" if name == "loss" else name for name in table["statistic"].to_pylist()]
    assert "hessian_trace" in names
    pq.write_table(table.set_column(1, "statistic", pa.array(names)), part)
    trace = read_trace(path)
    assert trace.completed  # nothing that this version knows is missing
    assert_holds(trace, PARTS[0] + [row for row in PARTS[1] if row[1] is not Statistic.LOSS] + PARTS[2])
    assert "does not know: hessian_trace" in caplog.text


def test_a_missing_trace_folder_leaves_the_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = completed_folder(tmp_path)
    before = read_trace(path)
    shutil.rmtree(path / "trace")
    trace = read_trace(path)
    assert (trace.completed, trace.series, trace.ledgers) == (False, {}, ())
    assert_same(trace.layers, before.layers)
    assert "no folder trace" in caplog.text


def test_damaged_lines_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = completed_folder(tmp_path)
    before = read_trace(path)
    with (path / "events.jsonl").open("ab") as file:
        file.write(b'[]\n{"kind": "melted", "step": 1}\n{"kind": "clip')
    with (path / "trace" / "ledgers.jsonl").open("ab") as file:
        file.write(b'{"poem": 1}\n')
    trace = read_trace(path)
    assert not trace.completed
    assert_same(dataclasses.replace(trace, completed=True), before)
    assert "events.jsonl: skipped 3 of " in caplog.text
    assert "should be a ledger or a time profile" in caplog.text


def test_steps_of_a_run_cut_off_count_the_rows_that_its_state_does_not_know_yet(tmp_path: Path) -> None:
    folder = RunFolder.create("train.py", tmp_path)
    folder.append(random_rows(1, first_step=0, steps=30))
    assert read_trace(folder.path).steps == 29
    folder.write_state(Trace(steps=10, completed=True))
    assert read_trace(folder.path).steps == 10


def test_leftovers_of_a_kill_are_ignored(tmp_path: Path) -> None:
    path = completed_folder(tmp_path)
    before = read_trace(path)
    (path / ".run.json.tmp").write_bytes(b'{"schema"')
    (path / "trace" / ".part-000003.parquet.tmp").write_bytes(b"PAR1")
    assert_same(read_trace(path), before)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore:pickle-based:RuntimeWarning")  # older versions of Arrow say that they refuse
def test_nothing_in_a_folder_is_unpickled(tmp_path: Path) -> None:
    path = completed_folder(tmp_path)
    exploded = tmp_path / "exploded"
    bomb = pickle.dumps(_Bomb(exploded))
    part = path / "trace" / "part-000001.parquet"
    table = pq.read_table(part)
    marks = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": bomb}
    field = pa.field("value", pa.float64(), metadata=marks)
    pq.write_table(table.cast(table.schema.set(3, field)), part)
    (path / "bundles" / "step.pkl").write_bytes(bomb)
    (path / "trace" / "part-000003.parquet").write_bytes(bomb)
    read_trace(path)
    assert not exploded.exists()
    pickle.loads(bomb)
    assert exploded.exists()  # the bomb works


def test_more_rows_than_memory_allows_are_not_unpacked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = completed_folder(tmp_path)
    monkeypatch.setattr(series_module, "ROWS_LIMIT", len(PARTS[0]) + len(PARTS[1]))
    trace = read_trace(path)
    assert not trace.completed
    assert_holds(trace, PARTS[0] + PARTS[1])
    assert f"skipped part-000002.parquet: it unpacks to {len(PARTS[2])} rows" in caplog.text


def test_more_parts_than_a_run_writes_are_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = completed_folder(tmp_path)
    monkeypatch.setattr(series_module, "PARTS_LIMIT", 2)
    trace = read_trace(path)
    assert not trace.completed
    assert_holds(trace, PARTS[0] + PARTS[1])
    assert "has 3 parts, more than the 2 that are read" in caplog.text


NOBODY = 65534


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX ones")
@pytest.mark.parametrize("name", [".", "run.json", "trace", "trace/part-000001.parquet"])
def test_permission_denied_is_said_or_the_part_skipped(tmp_path: Path, name: str) -> None:
    path = completed_folder(tmp_path)
    base = tmp_path
    while base.owner() == tmp_path.owner() and base != base.parent and not base.stat().st_mode & 0o001:
        base.chmod(0o711)  # pytest's folders are closed to others
        base = base.parent
    target = path / name
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom evengrad.errors import RunFolderError\n"
        "from evengrad.recording.folder import read_trace\nimport pyarrow.parquet\n"
        f"if os.getuid() == 0: os.setuid({NOBODY})\n"
        "try: print(read_trace(Path(sys.argv[1])).completed)\nexcept RunFolderError as error: print(error)"
    )
    target.chmod(0)
    try:
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    finally:
        target.chmod(0o755)
    if name.endswith(".parquet"):
        assert done.stdout == "False\n"
        assert "skipped part-000001.parquet" in done.stderr
    else:
        assert re.match(r"cannot (read|list) .*: Permission denied\n$", done.stdout)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    path = completed_folder(tmp_path)
    before = contents(path)
    read_trace(path)
    assert contents(path) == before


@pytest.mark.parametrize("seed", range(3))
def test_json_files_hold_strict_json(tmp_path: Path, seed: int) -> None:
    path = filled_folder(tmp_path, seed=seed).path
    texts = [(path / "run.json").read_text()]
    for name in ("events.jsonl", "trace/ledgers.jsonl"):
        texts += (path / name).read_text().splitlines()
    constants: list[str] = []  # NaN and Infinity, which JSON does not have
    for text in texts:
        json.loads(text, parse_constant=constants.append)
    assert len(texts) > 1
    assert constants == []


def test_errors_are_ours_and_quiet_folders_log_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="evengrad")
    read_trace(completed_folder(tmp_path))
    assert caplog.records == []
    with pytest.raises(EvengradError):
        read_trace(tmp_path / "nowhere")
