"""Hand a change over: a patched copy that runs in place, and, when asked to, the change in the user's own files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from evengrad.errors import TrialError
from evengrad.patches._tree import SourceTree, encode
from evengrad.recording.files import replacing


def write_patched(folder: Path, main: str, texts: Mapping[str, str], tree: SourceTree) -> Path:
    """Write a copy of the program with the change, beside links to everything that it did not touch.

    Args:
        folder: Takes the copy; what it held is replaced.
        main: Absolute path of the file that is started.
        texts: The changed source by absolute path.
        tree: All source.

    Returns:
        The path of the copy of ``main``.

    Raises:
        TrialError: it cannot be written.
    """
    real = os.path.realpath(main)
    contents = {os.path.realpath(path): text for path, text in texts.items()}
    # The file that is started is always a copy: python looks for modules where a link leads, not where it lies.
    contents.setdefault(real, next(text for path, text in tree.files.items() if os.path.realpath(path) == real))
    root = Path(os.path.commonpath([os.path.dirname(path) for path in contents]))
    try:
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in contents.items():
            inside = Path(path).relative_to(root)
            _open_folders(root, folder, inside.parent)
            place = folder / inside
            place.unlink(missing_ok=True)
            place.write_bytes(encode(text))
    except OSError as error:
        raise TrialError(f"the patched copy cannot be written to {folder}: {error.strerror}") from error
    return folder / Path(real).relative_to(root)


def _open_folders(root: Path, twin: Path, inside: Path) -> None:
    """Make real folders from the top down to ``inside``, each with links to its neighbours' entries."""
    for part in [Path(), *reversed(inside.parents[:-1]), inside] if inside.parts else [Path()]:
        place = twin / part
        if place.is_symlink():
            place.unlink()
        if place.is_dir():
            continue
        place.mkdir(parents=True)
        for entry in os.scandir(root / part):
            if entry.name not in ("__pycache__", ".evengrad"):
                (place / entry.name).symlink_to(os.path.realpath(entry.path))


def apply(texts: Mapping[str, str], tree: SourceTree, backup: Path) -> None:
    """Write a change into the user's files, each in one moment, and keep what they held.

    Args:
        texts: The changed source by absolute path.
        tree: What the files held when the trials began.
        backup: A folder that takes the old files, as ``<name>.orig``.

    Raises:
        TrialError: a file has changed in the meantime, or cannot be written.
    """
    for path in texts:
        if path in tree.files and Path(path).read_bytes() != encode(tree[path]):
            raise TrialError(f"{path} has changed since the trials began, so nothing was applied; run fix again")
    try:
        backup.mkdir(parents=True, exist_ok=True)
        for path in texts:
            shutil.copy2(path, backup / f"{tree.shown(path).replace('/', '__')}.orig")
        for path, text in texts.items():
            real = Path(os.path.realpath(path))
            with replacing(real) as temporary:
                temporary.write_bytes(encode(text))
                shutil.copymode(real, temporary)
    except OSError as error:
        raise TrialError(f"the change cannot be written to {error.filename}: {error.strerror}") from error
