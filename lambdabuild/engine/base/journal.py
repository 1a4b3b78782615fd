"""doit's state: an append-only journal that survives a kill at any moment, and the lock of a project.

A record is one line, written by one call in append mode: task, key and the value as JSON, with tabs between; no key
forgets the task, no task all of them. A torn last line is passed over, and the next record does not continue it. A
value is decoded when it is asked for. Imported at every start of doit: keep it small.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import stat
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from lambdabuild.core import atomic, regular
from lambdabuild.core.plain import Json, JsonObject

DEFAULTS: Mapping[str, Any] = {"checker:": "MD5Checker", "deps:": ()}
OURS = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
GARBAGE_LINES = 2000
"""So many lines more than live records, and the journal is written anew."""


class Journal:
    """A doit backend (``get set in_ remove remove_all dump``), and the state outside of doit.

    Nothing is written, and no lock taken, before ``set`` or ``remove`` is called.
    """

    desc = "append-only journal; survives kills and concurrent runs"

    def __init__(self, name: str, codec: Any = None, *, module_name: str | None = None) -> None:
        self.name = name
        self._read: dict[str, Json] | None = None
        self._lines = 0
        self._file: int | None = None
        self._lock: ProjectLock | None = None
        self._rests = False

    @property
    def _records(self) -> dict[str, Json]:
        """The records, read when they are first asked for."""
        if self._read is None:
            self.reload()
        return cast("dict[str, Json]", self._read)

    def rest(self) -> None:
        """There is nothing to do: in this run nothing is read, and nothing is written."""
        self._read, self._rests = {}, True

    def reload(self) -> None:
        """Read what is on disk, which another run may have added to."""
        self._read, self._lines = {}, 0
        try:
            with open(self.name, "rb", opener=regular.opener) as stream:
                text = stream.read()
        except OSError:  # what stands in its place is told by check_own
            return
        for line in text.split(b"\n"):
            if line:
                self._lines += 1
                _apply(line, self._read)

    def record(self, task: str) -> JsonObject | None:
        """The values that a task's last success saved."""
        values: JsonObject | None = self.get(task, "_values_:")
        return values

    # doit's side

    def get(self, task: str, key: str) -> Any:
        record = self._records.get(task)
        if record and key == "result:" and key not in record:
            return self._default(task, key)
        value = record.get(key) if record else None
        if isinstance(value, bytes):
            assert record is not None
            value = record[key] = _decoded(value)
        return value

    def set(self, task: str, key: str, value: Any) -> None:
        if self._rests:
            return
        record = self._records.setdefault(task, {})
        known = self.get(task, key) if key in record else self._default(task, key)
        if known is not None and known == value:
            return
        record[key] = value
        self._append(task, key, value)

    def _default(self, task: str, key: str) -> Any:
        """Return the meaning of a missing key: most of what doit writes says nothing. A step's result is its values."""
        if key != "result:":
            return DEFAULTS.get(key)
        values = self.get(task, "_values_:")
        return values if values and "inputs" in values else None

    def in_(self, task: str) -> bool:
        return task in self._records

    def remove(self, task: str) -> None:
        self._begin()  # a run that goes on may be about to add it
        if self._records.pop(task, None) is not None:
            self._append(task, "", None)

    def remove_all(self) -> None:
        self._begin()
        self._records.clear()
        self._append("", "", None)

    def dump(self) -> None:
        """The end of a run: everything is on disk already; a journal of mostly garbage is written anew."""
        if self._file is None:
            return
        if self._lines > GARBAGE_LINES + sum(map(len, self._records.values())):
            _compact(self.name, self._records)
        os.close(self._file)
        self._file = None

    def _append(self, task: str, key: str, value: Any) -> None:
        os.write(self._begin(), _line(task, key, value))
        self._lines += 1

    def _begin(self) -> int:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> int:
        folder = os.path.dirname(os.path.abspath(self.name))
        os.makedirs(folder, exist_ok=True)
        if self._lock is None:
            self._lock = ProjectLock(os.path.join(folder, "lock"))
            if self._lock.acquire().waited:
                self.reload()
        file = os.open(self.name, os.O_RDWR | os.O_APPEND | OURS, 0o644)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")  # a torn line ends here
        return file


def check_own(state_dir: str) -> None:
    """Raise CannotWrite (LB504) when our journal or lock is no file of its own: we write through no link."""
    for name in ("journal", "lock"):
        path = os.path.join(state_dir, name)
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            from lambdabuild.core.errors import CannotWrite
            from lambdabuild.core.spans import Span

            raise CannotWrite(
                f"{path} should be lambdabuild's own file, but is {KINDS.get(stat.S_IFMT(mode), 'a device')}",
                where=Span(path),
                help="move it away; lambdabuild makes its own",
            )


def _apply(line: bytes, records: dict[str, Json]) -> None:
    """Take a line of the file into the records."""
    task, _, rest = line.partition(b"\t")
    key, _, value = rest.partition(b"\t")
    if not value:
        return  # torn by a kill
    name = task.decode(errors="replace")
    if not name:
        records.clear()
    elif not key:
        records.pop(name, None)
    else:
        records.setdefault(name, {})[key.decode(errors="replace")] = value


def _compact(name: str, records: Mapping[str, JsonObject]) -> None:
    """Write a journal of nothing but live records in place of one that is mostly garbage."""
    with atomic.writing(name) as stream:
        for task, record in records.items():
            for key, value in record.items():
                stream.write(_line(task, key, value))


def _line(task: str, key: str, value: Any) -> bytes:
    from lambdabuild.core.records import to_json  # loads msgspec, which a run with nothing to do does without

    text = value if isinstance(value, bytes) else to_json(value)
    return b"\t".join((task.encode(), key.encode(), text)) + b"\n"


def _decoded(value: bytes) -> Any:
    try:
        return regular.json(value)
    except ValueError:
        return None  # torn by a kill


class Acquired(NamedTuple):
    """Somebody else had the lock meanwhile (``waited``); the last to have it was killed or interrupted
    (``after_death``), so that threads may have left what they were at."""

    waited: bool = False
    after_death: bool = False


class ProjectLock:
    """One writer in a project at a time; the kernel gives the lock back when its process ends, however it ends.

    A process that holds it may take it again (the engine and the journal both do), and so may its forks (doit's own,
    with ``-P process``), for they share the open file that bears the lock.
    """

    _held: set[str] = set()  # noqa: RUF012  # of this process, on purpose
    is_interrupted = False
    """This process ends before its steps do."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def acquire(self, timeout_seconds: float = 600, on_wait: Callable[[int], None] | None = None) -> Acquired:
        """Take the lock; tells what was before. Raises Locked (LB506) after the timeout."""
        if self.path in self._held:
            return Acquired()
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        file = os.open(self.path, os.O_RDWR | OURS, 0o644)
        waited = not _try(file)
        if waited:
            self._wait(file, timeout_seconds, on_wait)
        after_death = _holder(file) != 0
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._held.add(self.path)
        atexit.register(_give_back, file)  # whoever finds a holder's number knows that it did not get this far
        return Acquired(waited, after_death)

    def _wait(self, file: int, timeout_seconds: float, on_wait: Callable[[int], None] | None) -> None:
        holder = _holder(file)
        if on_wait is not None:
            on_wait(holder)
        until = time.monotonic() + timeout_seconds
        while not _try(file):
            if time.monotonic() >= until:
                from lambdabuild.core.errors import Locked

                os.close(file)
                raise Locked(
                    f"another run (process {holder}) works in this project",
                    help="wait until it has ended, or raise lock_timeout_seconds",
                )
            time.sleep(0.05)


def _give_back(file: int) -> None:
    if not ProjectLock.is_interrupted:
        os.ftruncate(file, 0)


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: int) -> int:
    text = os.pread(file, 20, 0)
    return int(text) if text.isdigit() else 0
