"""Source trees keep every byte of a file, find a trace's lines, and show differences as patches that apply."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evengrad.core.info import SourceLine
from evengrad.errors import PatchError
from evengrad.patches import SourceTree, decode, encode, load_tree


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\n",
        b"x = 1",
        b"x = 1\r\ny = 2\r\n",
        b"",
        b"\xef\xbb\xbfx = '\xc3\xa9'\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"#!/usr/bin/python\n# vim: set fileencoding=big5 :\nx = '\xa4\xa4'\n",
        b"x = 1\x0c\n\ty = 2\n",
    ],
)
def test_a_file_is_read_and_written_byte_for_byte(data: bytes) -> None:
    assert encode(decode(data)) == data


def test_a_trees_lines_are_found_by_absolute_and_relative_paths() -> None:
    tree = SourceTree({"/a/b/train.py": "", "/a/b/net/model.py": "", "/a/b/old/model.py": ""}, "/a/b")
    assert tree.find(SourceLine("/a/b/train.py", 3)) == "/a/b/train.py"
    assert tree.find(SourceLine("b/train.py", 3)) == "/a/b/train.py"
    assert tree.find(SourceLine("net/model.py", 3)) == "/a/b/net/model.py"
    assert tree.find(SourceLine("model.py", 3)) is None
    assert tree.find(SourceLine("rain.py", 3)) is None
    assert tree.find(None) is None


def test_the_modules_beside_a_script_are_loaded_with_it(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("from .mlp import MLP\n")
    (tmp_path / "nets" / "mlp.py").write_text("import torch\nfrom . import blocks\nimport tools.unknown\n")
    (tmp_path / "nets" / "blocks.py").write_text("x = 1\n")
    (tmp_path / "other.py").write_text("x = 1\n")
    script = tmp_path / "train.py"
    script.write_text("import nets\nimport torch, os\n")
    tree = load_tree([script])
    assert [tree.shown(path) for path in sorted(tree)] == [
        "nets/__init__.py",
        "nets/blocks.py",
        "nets/mlp.py",
        "train.py",
    ]


def test_what_is_not_python_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def (:\n")
    with pytest.raises(PatchError, match="cannot be read as Python source"):
        load_tree([tmp_path / "train.py"])
    with pytest.raises(PatchError, match="cannot be read as Python source"):
        load_tree([tmp_path / "missing.py"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a = 1\nb = 2\n", "a = 1\nb = 3\n"),
        ("a = 1\nb = 2", "a = 1\nb = 3"),
        ("a = 1\nb = 2", "a = 1\nb = 2\n"),
        ("a = 1\r\nb = 2\r\n", "a = 1\r\nb = 3\r\n"),
        ("a = '\u2028'\x0c\nb = 2\n", "a = '\u2028'\x0c\nb = 3\n"),
    ],
)
def test_the_diff_is_a_patch_that_git_applies(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "train.py"
    path.write_bytes(encode(old))
    tree = SourceTree({str(path): old}, str(tmp_path))
    patch = tmp_path / "change.patch"
    patch.write_bytes(tree.diff(tree.replace(str(path), new)).encode())
    subprocess.run(["git", "apply", "--whitespace=nowarn", "change.patch"], cwd=tmp_path, check=True)
    assert path.read_bytes() == encode(new)


def test_equal_trees_have_no_diff() -> None:
    tree = SourceTree({"/a.py": "x = 1\n"}, "/")
    assert tree.diff(tree) == ""
