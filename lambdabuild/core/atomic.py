"""Write a file under a temporary name and rename it: a kill leaves the old one or the new one, never half of one.

The only place that does so; in core, because caches, artifacts, the stat cache and the journal need it.
"""

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

TEMPORARY = re.compile(r"\.\d+\.[0-9a-f]+\.tmp$")
"""How temporary names end: the numbers of the process and of its thread."""
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
PROCESS = re.compile(r"\.(\d+)(\.[0-9a-f]+)?\.tmp$")
"""The same, and without a thread, as ``caller_folders.named_file`` has it."""


def writing(target: str, mode: int = 0o644, *, flush: bool = True) -> AbstractContextManager[BinaryIO]:
    """Open a stream whose content becomes ``target`` when the block ends well; the umask does not change the mode.

    Raises CannotWrite (LB504) when a folder is in the way; an OSError of the disk is passed on. In both cases the old
    file stays. Without ``flush`` the rename may reach the disk before the bytes do: use that for files that are checked
    before they are used again.
    """
    if os.path.isdir(target) and not os.path.islink(target):
        raise _is_folder(target)
    return _writing(target, mode, flush, os.replace)


def write_bytes(target: str, content: bytes, *, flush: bool = True) -> None:
    """Write a file that is in memory, with mode 0644, and make its folder if there is none.

    Raises as ``writing`` does.
    """
    with replacing(target) as temporary:
        try:
            file = os.open(temporary, NEW_FILE, 0o644)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            file = os.open(temporary, NEW_FILE, 0o644)
        try:
            os.fchmod(file, 0o644)
            left = memoryview(content)
            while left:
                left = left[os.write(file, left) :]
            if flush:
                os.fsync(file)
        finally:
            os.close(file)


def claiming(target: str, mode: int = 0o644) -> AbstractContextManager[BinaryIO]:
    """Open a stream as ``writing`` does, for a file that must not exist yet. Raises FileExistsError if it does."""
    return _writing(target, mode, True, os.link)


@contextmanager
def replacing(target: str, settle: Callable[[str, str], None] = os.replace) -> Iterator[str]:
    """Yield a temporary name whose file or link gets the name ``target`` when the block ends well."""
    process = os.getpid()
    temporary = f"{target}.{process}.{threading.get_ident():x}.tmp"
    _unfinished.add((process, temporary))
    try:
        yield temporary
        settle(temporary, target)
        if settle is os.link:
            os.unlink(temporary)
    except IsADirectoryError as error:
        _quietly_remove(temporary)
        raise _is_folder(target) from error
    except BaseException:
        _quietly_remove(temporary)
        raise
    finally:
        _unfinished.discard((process, temporary))


def _is_folder(target: str) -> CannotWrite:
    from lambdabuild.core.spans import Span  # loads msgspec, which a run with nothing to do does without

    return CannotWrite(f"{target} should be a file, but is a folder", where=Span(target), help="move the folder away")


@contextmanager
def _writing(target: str, mode: int, flush: bool, settle: Callable[[str, str], None]) -> Iterator[BinaryIO]:
    with replacing(target, settle) as temporary, open(temporary, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        yield stream
        if flush:
            stream.flush()
            os.fsync(stream.fileno())


def try_write(file: str, *parts: bytes) -> bool:
    """Write a file that only saves the next run work, and return whether the disk let us; an OSError is no error."""
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with writing(file, flush=False) as stream:
            stream.writelines(parts)
    except (OSError, CannotWrite):
        return False
    return True


_unfinished: set[tuple[int, str]] = set()
"""(process, path) of what threads are about to rename or remove; doit abandons its threads at an interruption."""


@contextmanager
def unfinished(path: str) -> Iterator[None]:
    """Remove a path after the block, or when the process ends before that."""
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
    """Return whether the process whose number is in a temporary name has ended."""
    match = PROCESS.search(name)
    if match is None or int(match[1]) == os.getpid():
        return False
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def write_text(target: str, text: str, *, flush: bool = True) -> None:
    """Write a text file in UTF-8. Raises CannotWrite (LB504), OSError."""
    write_bytes(target, text.encode("utf-8"), flush=flush)


def replace_folder(new: str, old: str) -> None:
    """Rename the folder ``new`` to ``old``, which is removed first; after a kill in between ``old`` is missing."""
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
