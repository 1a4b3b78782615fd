"""Run commands in turn and tell what each took; medians and ratios, for seconds alone say nothing on a shared machine."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Contestant:
    """A command that is measured; ``before`` is done before each run of it, unmeasured."""

    command: Sequence[str]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None
    writes: str = ""
    """A file that shows that it has done its work, though it then refuses the result."""


@dataclass(frozen=True)
class Taken:
    """One run: wall-clock seconds, peak memory of its largest process and what it wrote to disk, both in MB."""

    seconds: float
    memory: float
    written: float


def in_turn(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[Taken]]:
    """Each contestant once a round, so that a slow moment of the machine hits all; the first round does not count."""
    taken: dict[str, list[Taken]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            contestant.before()
            one = once(contestant)
            taken[name] += [one] if number else []
    return taken


def once(contestant: Contestant) -> Taken:
    """Run it. Raises SystemExit with its words when it fails."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(contestant.command),
            cwd=contestant.folder,
            env={**os.environ, **contestant.env},
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not (contestant.writes and (contestant.folder / contestant.writes).exists()):
            said.seek(0)
            sys.exit(f"{' '.join(contestant.command)} failed:\n{said.read().decode(errors='replace')[-3000:]}")
    return Taken(seconds, usage.ru_maxrss / 1024, usage.ru_oublock * 512 / 1e6)


def peak(contestant: Contestant) -> float:
    """Run it; return the peak memory in MB of it and its children together.

    Pages that processes share count once (PSS). What is looked at every 20 ms may miss a short peak; the kernel knows
    that of the largest process, which is then the answer.
    """
    contestant.before()
    highest, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.wait(0.02):
            highest = max(highest, sum(map(_pss, _children(os.getpid()))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        taken = once(contestant)
    finally:
        over.set()
        watcher.join()
    return max(highest, taken.memory)


def _children(process: int) -> Iterator[int]:
    try:
        tasks = os.listdir(f"/proc/{process}/task")
        children = [Path(f"/proc/{process}/task/{task}/children").read_text().split() for task in tasks]
    except OSError:
        return
    for child in map(int, itertools.chain(*children)):
        yield child
        yield from _children(child)


def _pss(process: int) -> float:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    pss = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(pss[1]) / 1024 if pss else 0.0


def busy(seconds: float = 0.5) -> list[str]:
    """Return the other processes that use more than a tenth of a processor: a measurement next to them says little."""
    before = _processor_seconds()
    time.sleep(seconds)
    shares = {who: (now - before.get(who, now)) / seconds for who, now in _processor_seconds().items()}
    return [f"{name} ({process}) {share:.0%}" for (process, name), share in shares.items() if share > 0.1]


def _processor_seconds() -> dict[tuple[int, str], float]:
    taken = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            start, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        process, _, name = start.partition(" (")
        fields = rest.split()
        taken[int(process), name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {who: spent for who, spent in taken.items() if who[0] != os.getpid()}


def seconds(taken: Sequence[Taken]) -> float:
    return statistics.median(one.seconds for one in taken)


def memory(taken: Sequence[Taken]) -> float:
    return max(one.memory for one in taken)


def written(taken: Sequence[Taken]) -> float:
    return statistics.median(one.written for one in taken)


def system_calls(contestant: Contestant) -> tuple[int, int]:
    """How many files a run opens and how many processes it starts, as strace counts them; zeros without strace."""
    strace = shutil.which("strace")
    if strace is None:
        return 0, 0
    contestant.before()
    with tempfile.NamedTemporaryFile() as log:
        traced = [strace, "-f", "-qq", "-o", log.name, "-e", "trace=openat,open,execve", "-e", "status=successful"]
        once(Contestant([*traced, *contestant.command], contestant.folder, contestant.env))
        text = Path(log.name).read_text(errors="replace")
    return len(re.findall(r"\bopen(?:at)?\(", text)), len(re.findall(r"\bexecve\(", text))
