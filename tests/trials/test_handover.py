"""The patched copy, and the change in the user's own files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evengrad.errors import TrialError
from evengrad.patches._tree import SourceTree, load_tree
from evengrad.trials.handover import apply, write_patched


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "model.py").write_text("RATE = 1\n")
    (tmp_path / "pkg" / "data.py").write_text("DATA = 7\n")
    (tmp_path / "train.py").write_text("from pkg.model import RATE\nfrom pkg.data import DATA\nprint(RATE, DATA)\n")
    return tmp_path


def output(script: Path, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-S", str(script)], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_patched_copy_runs_with_everything_that_was_not_changed(project: Path) -> None:
    tree = load_tree([project / "train.py"])
    texts = {str(project / "pkg" / "model.py"): "RATE = 2\n"}
    copy = write_patched(project / ".evengrad" / "fix" / "patched", str(project / "train.py"), texts, tree)
    assert output(copy, project) == "2 7"
    assert output(project / "train.py", project) == "1 7"
    again = write_patched(project / ".evengrad" / "fix" / "patched", str(project / "train.py"), {}, tree)
    assert output(again, project) == "1 7"


def test_applying_keeps_mode_and_old_text(project: Path, tmp_path: Path) -> None:
    script = project / "train.py"
    script.chmod(0o755)
    link = project / "link.py"
    link.symlink_to(script)
    tree = load_tree([link])
    backup = tmp_path / "orig"
    apply({str(link): "print('new')\n"}, tree, backup)
    assert script.read_text() == "print('new')\n"
    assert link.is_symlink()
    assert os.stat(script).st_mode & 0o777 == 0o755
    assert (backup / "link.py.orig").read_text().startswith("from pkg.model")


def test_a_file_that_has_changed_meanwhile_is_left_alone(project: Path, tmp_path: Path) -> None:
    script = project / "train.py"
    tree = load_tree([script])
    script.write_text("print('edited')\n")
    with pytest.raises(TrialError, match="has changed since the trials began"):
        apply({str(script): "print('new')\n"}, tree, tmp_path / "orig")
    assert script.read_text() == "print('edited')\n"


def test_a_tree_without_changes_needs_no_copy_of_modules(project: Path) -> None:
    tree = SourceTree({str(project / "train.py"): (project / "train.py").read_text()}, str(project))
    copy = write_patched(project / "patched", str(project / "train.py"), {}, tree)
    assert not copy.is_symlink()
    assert (copy.parent / "pkg").is_symlink()
