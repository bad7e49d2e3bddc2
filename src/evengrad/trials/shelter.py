"""Keep what an arm writes from the user's files: an overlay file system where the kernel allows it, else links.

With the overlay every path keeps its name and everything below the project's folders may be written; all of it is gone
with the process. Where the kernel refuses, the arm works in a folder of links to the user's files that are copied when
they are first written to, and writing to the user's existing files by another way is refused.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from evengrad.patches._tree import encode

logger = logging.getLogger(__name__)

_NEW_NAMESPACES: Final = 0x10000000 | 0x00020000  # CLONE_NEWUSER | CLONE_NEWNS
_PRIVATE: Final = (1 << 18) | (1 << 14)  # MS_PRIVATE | MS_REC: mounts stay inside
_LINKS: Final = 5_000  # entries that the folder of links mirrors one by one; deeper folders are linked whole
_SKIPPED: Final = frozenset({".git", ".hg", ".evengrad", "__pycache__", ".venv", "node_modules"})
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def roots_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the folders among some that lie in no other of them, resolved."""
    resolved = sorted({os.path.realpath(path) for path in paths})
    return tuple(p for p in resolved if not any(p != other and Path(p).is_relative_to(other) for other in resolved))


def enter_overlay(roots: Sequence[str], scratch: Path, texts: Mapping[str, str]) -> bool:
    """Give this process its own view of some folders, in which it may write.

    Args:
        roots: The folders, none inside another.
        scratch: An existing folder outside all of them, for what is written.
        texts: Files of the view that are to hold another text, for whoever reads them without importing them.

    Returns:
        Whether it worked; if not, nothing has changed.
    """
    if sys.platform != "linux" or any(_unsuitable(root, scratch) for root in roots):
        return False
    here = os.getcwd()
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NAMESPACES) != 0:
        logger.debug("no namespace of our own: %s", os.strerror(ctypes.get_errno()))
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _mount(libc, "", "/", flags=_PRIVATE)
        for number, root in enumerate(roots):
            upper, work = scratch / f"upper-{number}", scratch / f"work-{number}"
            upper.mkdir()
            work.mkdir()
            _mount(libc, "overlay", root, options=f"lowerdir={root},upperdir={upper},workdir={work},userxattr")
    except OSError as error:
        logger.debug("no overlay: %s", error)
        return False
    os.chdir(here)  # the same path leads into the view only when it is walked again
    for path, text in texts.items():
        with suppress(OSError):  # the import hook serves it all the same
            Path(path).write_bytes(encode(text))
    return True


def _unsuitable(root: str, scratch: Path) -> bool:
    """Say whether a folder cannot be overlaid: it is everything, holds the scratch, or its name splits an option."""
    return root == "/" or Path(os.path.realpath(scratch)).is_relative_to(root) or any(c in root for c in ",:\\")


def _mount(libc: ctypes.CDLL, kind: str, target: str, *, flags: int = 0, options: str = "") -> None:
    """Mount a file system.

    Raises:
        OSError: the kernel refuses.
    """
    done = libc.mount(kind.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(options))
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


class Mirror:
    """A working folder of links to the user's files, copied when they are first written to.

    Args:
        source: The user's working folder.
        scratch: An existing folder outside it.
        roots: Folders whose files are the user's.
        since: Time from which on a file is none of the user's, but made by an arm; in seconds since the epoch.
    """

    def __init__(self, source: str, scratch: Path, roots: Sequence[str], since: float) -> None:
        self.folder = os.path.realpath(scratch / "cwd")
        self._own = os.path.realpath(scratch.parent)  # what the run leaves goes here
        self._roots = roots
        self._since = since
        self._busy = False
        os.mkdir(self.folder)
        _link_all(Path(source), Path(self.folder), self._own)

    def enter(self) -> None:
        """Work in the folder from now on, and look at every file that is about to be written."""
        os.chdir(self.folder)
        sys.addaudithook(self._audit)
        self._guard_torch()

    def _guard_torch(self) -> None:
        """Look at what ``torch.save`` writes: it opens files where no audit hook sees it."""
        import torch

        save = torch.save

        def guarded(*arguments: object, **named: object) -> None:
            file = named["f"] if "f" in named else arguments[1] if len(arguments) > 1 else None
            if isinstance(file, str | os.PathLike):
                self.prepare(os.fspath(file), keep=False)
            save(*arguments, **named)  # type: ignore[arg-type]

        torch.save = guarded

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._busy:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and isinstance(path, str | bytes):
                self.prepare(os.fsdecode(path), keep=not flags & os.O_TRUNC)
        elif event in ("os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"):
            self._refuse(arguments[0])
        elif event == "os.rename":
            self._refuse(arguments[0])
            self._refuse(arguments[1])

    def prepare(self, path: str, *, keep: bool) -> None:
        """Make a file one that the arm may write: a link is cut, its content copied if it is to be kept."""
        whole = os.path.abspath(path)
        if os.path.dirname(os.path.realpath(whole)) != os.path.dirname(whole) and os.path.islink(whole):
            parent = os.path.realpath(os.path.dirname(whole))
            if Path(parent).is_relative_to(self.folder):
                self._cut(whole, keep)
                return
        self._refuse(path)

    def _cut(self, link: str, keep: bool) -> None:
        self._busy = True
        try:
            behind = os.path.realpath(link)
            os.unlink(link)
            if keep and os.path.isfile(behind):
                shutil.copy2(behind, link)
        finally:
            self._busy = False

    def _refuse(self, path: object) -> None:
        """Raise when a path is a file of the user's that was there before the trials."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        place = os.path.abspath(os.fsdecode(path))
        # The last part is what is removed or renamed itself; the folders above it may be links.
        place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        if Path(place).is_relative_to(self._own) or not any(Path(place).is_relative_to(root) for root in self._roots):
            return
        if os.path.isfile(place) and os.stat(place).st_ctime < self._since:
            raise PermissionError(f"evengrad fix: an arm may not write to {place}, which was there before")


def _link_all(source: Path, target: Path, own: str) -> None:
    """Mirror a tree but for our ``own`` folder: folders as folders, files as links; what is near first."""
    left = _LINKS
    pending = [(source, target)]
    while pending:
        folder, twin = pending.pop(0)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            logger.debug("left out %s: %s", folder, error)
            continue
        for entry in entries:
            if os.path.realpath(entry.path) == own:
                continue
            place = twin / entry.name
            left -= 1
            if left > 0 and entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED:
                place.mkdir()
                pending.append((Path(entry.path), place))
            else:
                place.symlink_to(os.path.realpath(entry.path))


_PREFIX: Final = "evengrad-arm-"


def scratch_folder() -> Path:
    """Make a new folder for what an arm writes; its name says whose it is."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def clear_scratch() -> None:
    """Remove folders of processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
