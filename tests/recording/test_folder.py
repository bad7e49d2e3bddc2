"""The run folder: layout, round trip, and what a reader says of folders that are not as they should be."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from evengrad.core.schema import loads, trace_to_plain
from evengrad.core.trace import Trace
from evengrad.errors import RunFolderError
from evengrad.recording import folder as folder_module
from evengrad.recording.folder import RunFolder, read_trace
from tests.core.random_values import assert_same, random_trace
from tests.recording.samples import contents, filled_folder, rows_of


def test_a_folder_is_laid_out_as_documented(tmp_path: Path) -> None:
    folder = filled_folder(tmp_path, parts=2)
    folder.write_text("report.json", "{}")
    assert re.fullmatch(r"\d{8}-\d{6}-train", folder.path.name)
    assert folder.path.parent == tmp_path / ".evengrad"
    assert sorted(contents(folder.path)) == [
        "events.jsonl",
        "report.json",
        "run.json",
        "trace/ledgers.jsonl",
        "trace/part-000000.parquet",
        "trace/part-000001.parquet",
    ]
    assert (folder.path / "bundles").is_dir()


@pytest.mark.parametrize("seed", range(5))
def test_a_trace_survives_the_way_through_a_folder_to_the_bit(tmp_path: Path, seed: int) -> None:
    trace = dataclasses.replace(random_trace(seed), completed=True)
    folder = RunFolder.create("a.py", tmp_path)
    folder.append(rows_of(trace))
    folder.write_state(trace)
    assert_same(read_trace(folder.path), trace)


def test_run_json_is_the_plain_form_of_the_trace(tmp_path: Path) -> None:
    trace = random_trace(3)
    folder = RunFolder.create("a.py", tmp_path)
    for written in (trace, Trace(), trace):
        folder.write_state(written)
        assert loads((folder.path / "run.json").read_bytes(), "run.json") == trace_to_plain(written)


def test_state_files_follow_a_trace_that_grows_shrinks_and_changes(tmp_path: Path) -> None:
    folder = RunFolder.create("a.py", tmp_path)
    whole = random_trace(11)
    for seed in range(8):
        events = random_trace(seed).events + whole.events[: seed % 3]
        trace = dataclasses.replace(whole, events=events, ledgers=whole.ledgers[seed % 2 :], series={}, completed=True)
        folder.write_state(trace)
        assert_same(dataclasses.replace(read_trace(folder.path), series={}), trace)


def test_a_state_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    folder = RunFolder.create("a.py", tmp_path)
    folder.write_state(random_trace(2))
    before = {path: path.stat().st_ino for path in folder.path.rglob("*.json*")}
    folder.write_state(dataclasses.replace(random_trace(2), steps=99))
    replaced = {path.name for path, inode in before.items() if path.stat().st_ino != inode}
    assert replaced == {"run.json"}


def test_a_new_folder_can_be_read_at_once(tmp_path: Path) -> None:
    trace = read_trace(RunFolder.create("some/where/train.py", tmp_path).path)
    assert (trace.steps, trace.completed, trace.script) == (0, False, "some/where/train.py")


def test_runs_started_in_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    paths = {RunFolder.create("train.py", tmp_path).path for _ in range(20)}
    assert len(paths) == 20
    assert {path.parent for path in paths} == {tmp_path / ".evengrad"}
    assert sorted(os.listdir(tmp_path / ".evengrad")) == sorted([".gitignore", *(path.name for path in paths)])


def test_runs_are_kept_out_of_the_users_repository(tmp_path: Path) -> None:
    ignore = tmp_path / ".evengrad" / ".gitignore"
    RunFolder.create("train.py", tmp_path)
    assert ignore.read_text() == "*\n"
    ignore.write_text("mine\n")
    RunFolder.create("train.py", tmp_path)
    assert ignore.read_text() == "mine\n"


def test_the_base_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunFolder.create("train.py").path.parent == tmp_path / ".evengrad"


@pytest.mark.parametrize(
    ("script", "stem"),
    [
        ("examples/train.py", "train"),
        ("package.train", "package.train"),
        ("訓練 腳本.py", "訓練-腳本"),
        ("../../../etc/passwd", "passwd"),
        ("a/../..", "run"),
        ("", "run"),
        ("$(rm -rf ~).py", "rm--rf"),
        ("a\udc80b.py", "a-b"),
        ("層" * 300 + ".py", "層" * 26),
    ],
)
def test_a_folder_is_named_for_its_script(tmp_path: Path, script: str, stem: str) -> None:
    folder = RunFolder.create(script, tmp_path)
    assert folder.path.name[16:] == stem
    assert read_trace(folder.path).script == script


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".evengrad").write_text("a file is in the way")
    with pytest.raises(RunFolderError, match=r"^cannot make a run folder in .*: (File exists|Not a directory)$"):
        RunFolder.create("train.py", tmp_path)


def test_nothing_half_made_is_left_when_a_folder_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_TRIES", 1)
    with pytest.raises(RunFolderError, match="names are taken"):
        RunFolder.create("train.py", tmp_path)
    assert os.listdir(tmp_path / ".evengrad") == [".gitignore"]


def test_appending_no_rows_writes_no_part(tmp_path: Path) -> None:
    folder = RunFolder.create("train.py", tmp_path)
    folder.append([])
    assert list((folder.path / "trace").glob("part-*")) == []
