"""Write files whole or not at all; read files that strangers made."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from evengrad.errors import RunFolderError


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """Give a temporary path beside ``path`` that takes its place when the block ends well, and goes when it does not.

    Survives a kill of the process at any moment. It does not sync to the device: a power cut may lose what the
    system had not written yet.

    Yields:
        The temporary path.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # no reader's pattern matches it
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            temporary = path  # the disk that refused to write refuses this too; the first error is the one to tell
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Replace the content of a file in one moment, seen from any other process."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_regular(path: Path, limit: int) -> None:
    """Check that opening and reading a file ends: it is a regular one of at most ``limit`` bytes.

    Raises:
        FileNotFoundError: there is no such file.
        RunFolderError: it is something else (a pipe would block for ever), too large, or not readable.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise RunFolderError(f"cannot read {path.name}: {reason(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        raise RunFolderError(f"{path.name} should be a file, is a {_kind(status.st_mode)}")
    if status.st_size > limit:
        raise RunFolderError(f"{path.name} has {status.st_size} bytes, more than the {limit} that are read")


def read_whole(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes.

    Raises:
        FileNotFoundError: there is no such file.
        RunFolderError: it cannot be read, is not a regular file, or is larger.
    """
    check_regular(path, limit)
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunFolderError(f"cannot read {path.name}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return what the system or a library said, in one line, without the paths that it repeats."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    lines = text.strip().splitlines()
    return (lines[0][:160] if lines else type(error).__name__).rstrip(".")


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "device or socket"
