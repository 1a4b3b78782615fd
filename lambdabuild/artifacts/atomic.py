"""Write a file aside, flush it, and rename it: at a kill the old one or the new one is there, never half of one."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

from lambdabuild.core.errors import CannotWrite
from lambdabuild.core.spans import Span

TEMPORARY = re.compile(r"\.\d+\.[0-9a-f]+\.tmp$")
"""How the names end that are renamed when they are whole."""
PROCESS = re.compile(r"\.(\d+)(\.[0-9a-f]+)?\.tmp$")
"""The same, and with the number of the process alone, as ``files.aside`` and the journal have them."""


def writing(target: str, mode: int = 0o644, *, flush: bool = True) -> AbstractContextManager[BinaryIO]:
    """A stream whose content becomes ``target`` when the block ends well; the mode does not depend on the umask.

    Raises CannotWrite (LB504) when a folder stands in the way; an OSError of the disk's goes through as it is. In both
    cases what was there before stays. Without ``flush`` the rename may reach the disk before the bytes do: for files
    that are checked before they are used again.
    """
    if os.path.isdir(target) and not os.path.islink(target):
        raise CannotWrite(
            f"{target} should be a file, but is a folder", where=Span(target), help="move the folder away"
        )
    return _aside(target, mode, flush, os.replace)


def claiming(target: str, mode: int = 0o644) -> AbstractContextManager[BinaryIO]:
    """The same for a file that nobody may have made yet: raises FileExistsError when somebody was faster."""
    return _aside(target, mode, True, os.link)


@contextmanager
def _aside(target: str, mode: int, flush: bool, settle: Callable[[str, str], None]) -> Iterator[BinaryIO]:
    temporary = f"{target}.{os.getpid()}.{threading.get_ident():x}.tmp"
    with unfinished(temporary):
        with open(temporary, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            yield stream
            if flush:
                stream.flush()
                os.fsync(stream.fileno())
        settle(temporary, target)


_unfinished: set[tuple[int, str]] = set()
"""What threads are about to rename or remove; those of doit's that an interrupted run leaves never come to it."""


@contextmanager
def unfinished(path: str) -> Iterator[None]:
    """Something that is gone after the block, or when the process ends in the midst of it."""
    _unfinished.add((os.getpid(), path))
    try:
        yield
    finally:
        _quietly_remove(path)
        _unfinished.discard((os.getpid(), path))


@atexit.register
def _remove_unfinished() -> None:
    for process, path in list(_unfinished):
        if process == os.getpid():  # a fork has the parent's, too
            _quietly_remove(path)


def _quietly_remove(path: str) -> None:
    try:
        os.unlink(path)
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass


def is_abandoned(name: str) -> bool:
    """Whether the process that a temporary name tells of is gone."""
    found = PROCESS.search(name)
    if found is None or int(found[1]) == os.getpid():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def write_text(target: str, text: str, *, flush: bool = True) -> None:
    with writing(target, flush=flush) as stream:
        stream.write(text.encode("utf-8"))


def replace_folder(new: str, old: str) -> None:
    """Give a folder another's name, in whose place it comes; at a kill that may be missing."""
    os.makedirs(os.path.dirname(old), exist_ok=True)
    remove(old)
    os.replace(new, old)


def remove(path: str) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
