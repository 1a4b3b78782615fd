"""Open files that somebody else may have put there, regular ones at once and others not at all, and read data in them.

A pipe or a device in a file's place would block whoever opens it, or never end. JSON and TOML that is nested without
end, or has numbers of thousands of digits, raises what any broken text does.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from typing import Any

WHY = "it is a pipe, a socket or a device, not a file"


def opener(path: str, flags: int) -> int:
    """For ``open(path, opener=regular.opener)``. Raises OSError for what is neither a file nor a folder."""
    _check(os.stat(path), path)
    file = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(file), path)  # it may have become another meanwhile
    except OSError:
        os.close(file)
        raise
    return file


def open_listed(path: str) -> tuple[int, os.stat_result]:
    """Open a file that a listing has just found regular; return its number and its stat. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        _check(status, path)
    except OSError:
        os.close(file)
        raise
    return file, status


def read_listed(path: str, at_most: int) -> bytes:
    """Return the first bytes of a file that a listing has just found regular. Raises OSError."""
    file, status = open_listed(path)
    wanted = min(at_most, status.st_size)
    room = min(at_most, wanted + 1)  # memory for no more than there is, and a byte by which to see that there is more
    try:
        data = os.read(file, room)
        while len(data) < wanted and (more := os.read(file, room - len(data))):
            data += more
        return data
    finally:
        os.close(file)


def _check(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # open() itself refuses a folder
        raise OSError(errno.EINVAL, WHY, path)


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return a file's text. Raises OSError, UnicodeDecodeError."""
    with open(path, encoding=encoding, errors=errors, opener=opener) as stream:
        return stream.read()


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb", opener=opener) as stream:
        return stream.read()


def json(text: str | bytes) -> Any:
    """Raises JSONDecodeError, and for bytes UnicodeDecodeError."""
    from json import JSONDecodeError, loads

    try:
        return loads(text)
    except RecursionError as error:
        raise JSONDecodeError("nested too deeply", "", 0) from error
    except (JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:  # a number of thousands of digits
        raise JSONDecodeError(str(error), "", 0) from error


def read_json(path: str) -> Any:
    """Raises OSError, and ValueError of some kind for what is no JSON."""
    return json(read_bytes(path))


def toml(text: str) -> dict[str, Any]:
    """Raises TOMLDecodeError."""
    from tomllib import TOMLDecodeError, loads

    try:
        return loads(text)
    except RecursionError as error:
        raise TOMLDecodeError("nested too deeply (at line 1, column 1)") from error
    except TOMLDecodeError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise TOMLDecodeError(f"{error} (at line 1, column 1)") from error
