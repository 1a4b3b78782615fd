"""Units that the last run found up to date, with the files it looked at, so that the next can answer at once.

Read before anything else at every start: it imports next to nothing. A snapshot only spares work: whatever is not as it
was, or is not in it, is asked the long way (``freshness``), and ``snapshot_writer`` writes what the answer was.
"""

from __future__ import annotations

import os
import sys
from _blake2 import blake2b

from lambdabuild._version import __version__
from lambdabuild.core import regular
from lambdabuild.files import sealed, watch
from lambdabuild.files.watch import Group

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from lambdabuild.core.plain import Json

MARK = f"lambdabuild {__version__} snapshot 9"
"""The number is raised when what is in a snapshot changes."""
STATE = ".lambdabuild"
"""Inside the build folder: the journal, receipts, the stat cache, what steps hand to each other."""

FILE = "snapshot"
SETTINGS_FILE = "lambdabuild.toml"

PROJECT, PLAN, JOURNAL = "the project", "the plan", "the journal"
"""Groups beside units: settings, template, rules and tools; which manifests lie in which folders; the state."""


ALWAYS = frozenset({PROJECT, JOURNAL})

GROUPS = {"build": "function", "layer": "layer", "source": "source"}
"""The tasks that people name, and what each is of."""

NOT_INPUTS = frozenset({"format", "quiet", "jobs"})
"""Settings that do not change what is built."""

ENVIRONMENT = ("HOME", "XDG_CACHE_HOME", "AWS_REGION", "AWS_DEFAULT_REGION", "CI")


class Snapshot:
    """One project's. A unit is a build, an asset or the template: what is up to date as a whole or not at all."""

    def __init__(self, place: str, variables: Mapping[str, str], environment: str, names: Iterable[str]) -> None:
        self.place = place
        """The build folder, for a project that was moved or copied has other files."""
        self.variables = {name: value for name, value in variables.items() if name not in NOT_INPUTS}
        self.environment = environment
        self.names = list(names)
        """Variables of the environment that count, beside ours."""
        self.programs: dict[str, str | None] = {}
        """The path of each program whose version counts; the file itself is in the project's group."""
        self.groups: dict[str, Group] = {}
        """The files that each unit depends on; a unit that is missing must be asked."""
        self.plans: dict[str, str] = {}
        """The digest of what the plan says of each unit."""
        self.owners: dict[str, str] = {}
        """``{build:F: unit}``: all that a run of everything is about."""
        self.needs: dict[str, list[str]] = {}
        """``{unit: [units]}``: layers whose size counts with a function's."""
        self.has_many_files = False
        """Trees are watched by their folders."""
        self.step_counts: dict[str, int] = {}
        self.kept = ""
        """The digest by which ``kept`` has the plan."""
        self.shown: Json = {}
        """``format``, ``quiet``, ``notes``, ``left_out`` and doit's configuration."""
        self._clean: frozenset[str] | None = None
        self._looked_at: frozenset[str] = frozenset()
        """Groups that were found unchanged by themselves."""

    def mode(self, variables: Mapping[str, str]) -> str | None:
        """Return the reporter's mode with these settings: text, json or quiet; None if they are invalid."""
        quiet = {"true": True, "false": False}.get(variables.get("quiet", str(self.shown["quiet"]).lower()))
        form = variables.get("format", self.shown["format"])
        if quiet is None or form not in ("text", "json") or "jobs" in variables:
            return None
        return "quiet" if quiet else form

    def is_for(self, build_dir: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> bool:
        """Return whether it was made for a build folder, these settings, and this environment."""
        given = {name: value for name, value in variables.items() if name not in NOT_INPUTS}
        if (self.place, self.variables) != (build_dir, given) or self.environment != digest(environment, self.names):
            return False
        path = environment.get("PATH", "")
        return all(find(name, path) == place for name, place in self.programs.items())

    def is_current(self) -> bool:
        """Return whether the project and its state are what they were: nobody has built it since this was read."""
        return self.groups.keys() >= ALWAYS and not watch.changed({name: self.groups[name] for name in ALWAYS})

    def clean(self) -> frozenset[str]:
        """The units that are up to date, if the project is still what it was. Looks at all files, once."""
        if self._clean is None:
            clean = frozenset(self.groups.keys() - watch.changed(self.groups))
            self._clean = clean if clean >= ALWAYS else frozenset()
        return self._clean

    def answers(self, asked: Iterable[str]) -> bool:
        """Return whether all that is asked for (``build:F``; nothing is everything) is known and up to date."""
        wanted = list(asked)
        if any(name not in self.owners for name in wanted):
            return False
        units = {self.owners[name] for name in wanted} if wanted else set(self.plans)
        units |= {need for unit in units for need in self.needs.get(unit, ())}
        units.add(PLAN)
        return self.holds(units) if wanted else units <= self.groups.keys() and units <= self.clean()

    def holds(self, groups: Iterable[str]) -> bool:
        """Return whether these groups, the project and its state are known and unchanged. Looks at no others."""
        names = {*groups, *ALWAYS}
        if self._clean is not None or not names <= self.groups.keys():
            return names <= (self._clean or frozenset())
        if not names <= self._looked_at and not watch.changed({name: self.groups[name] for name in names}):
            self._looked_at |= names
        return names <= self._looked_at

    def steps(self, asked: Iterable[str]) -> int:
        """How many steps there are to what is asked for; nothing is everything."""
        wanted = list(asked)
        units = {self.owners[name] for name in wanted} if wanted else self.step_counts.keys()
        return sum(self.step_counts[unit] for unit in units)

    def write(self) -> None:
        """Keep it for the next run."""
        head = {name: value for name, value in vars(self).items() if name in SHAPES}
        digests = {unit: digest for unit, (digest, _, _) in self.groups.items()}
        counts = {unit: count for unit, (_, count, _) in self.groups.items()}
        columns = sealed.table([digests, counts, self.plans, self.owners, self.step_counts])
        blobs = [*columns, *(folders for _, _, folders in self.groups.values())]
        sealed.write(os.path.join(self.place, STATE, FILE), MARK, head, blobs)


def read(build_dir: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> Snapshot | None:
    """The project's snapshot when it was made for the same settings and environment."""
    last_run = last(build_dir)
    return last_run if last_run is not None and last_run.is_for(build_dir, variables, environment) else None


def last(build_dir: str) -> Snapshot | None:
    """The snapshot in a build folder, whatever settings and environment it was made for."""
    try:
        head, blobs = sealed.read(os.path.join(build_dir, STATE, FILE), MARK)
        return _from(head, blobs)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _from(head: Any, blobs: list[bytes]) -> Snapshot:
    """A snapshot of what a file says. Raises what any wrong shape raises."""
    for name, fits in SHAPES.items():
        if not fits(head[name]):
            raise ValueError(f"{name} is not what it should be")
    snapshot = Snapshot("", {}, "", ())
    vars(snapshot).update({name: head[name] for name in SHAPES})
    digests, counts, snapshot.plans, snapshot.owners, steps = map(sealed.column, blobs[:5])
    snapshot.step_counts = dict(zip(steps, map(int, steps.values()), strict=True))
    sizes = map(int, counts.values())
    snapshot.groups = dict(zip(digests, zip(digests.values(), sizes, blobs[5:], strict=True), strict=True))
    if snapshot.shown["config"]["dep_file"] != os.path.join(snapshot.place, STATE, "journal"):
        raise ValueError("the journal is not where it should be")
    if not set(snapshot.owners.values()) <= snapshot.step_counts.keys():
        raise ValueError("owners without steps")
    return snapshot


def _is_text(value: Any) -> bool:
    return type(value) is str


def _are_texts(values: Any) -> bool:
    return type(values) is list and set(map(type, values)) <= {str}


def _maps_to(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is dict and set(map(type, value.values())) <= {*kinds}


def _is_shown(value: Any) -> bool:
    return (
        type(value) is dict
        and type(value["quiet"]) is bool
        and _is_config(value["config"])
        and _is_text(value["format"])
        and _are_texts(value["notes"])
        and _are_texts(value["groups"])
        and all(_are_texts(one["names"]) for one in value.get("left_out", ()))
    )


def _is_config(value: Any) -> bool:
    """doit's configuration can name files and code of anybody's; ours is the same for every project, but for these."""
    own = {"backend": "lambdabuild", "reporter": "lambdabuild", "par_type": "thread", "verbosity": 0}
    return (
        type(value) is dict
        and value == {**value, **own}
        and value.keys() == {*own, "dep_file", "default_tasks", "num_process", "continue"}
        and _are_texts(value["default_tasks"])
        and type(value["num_process"]) is int
        and type(value["continue"]) is bool
    )


SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "place": _is_text,
    "variables": _maps_to(str),
    "environment": _is_text,
    "names": _are_texts,
    "programs": _maps_to(str, type(None)),
    "needs": lambda value: type(value) is dict and all(map(_are_texts, value.values())),
    "has_many_files": lambda value: type(value) is bool,
    "kept": _is_text,
    "shown": _is_shown,
}
"""The shape that a snapshot must have at least: the file may have come with somebody's CI cache."""


def find(program: str, path: str) -> str | None:
    """Return the path of a program, as ``tools.find`` does, without its imports."""
    for folder in (os.path.dirname(sys.executable), *path.split(os.pathsep)):
        place = os.path.join(folder, program)
        if os.access(place, os.X_OK) and not os.path.isdir(place):
            return place
    return None


def digest(environment: Mapping[str, str], names: Iterable[str]) -> str:
    """Of the variables that count: ours, and these. Only a digest is kept, for they may hold secrets."""
    ours = (name for name in environment if name.startswith("LAMBDABUILD_"))
    chosen = sorted({*ENVIRONMENT, *names, *ours})
    text = repr([(name, environment.get(name)) for name in chosen]).encode("utf-8", "surrogateescape")
    return str(blake2b(text, digest_size=16).hexdigest())


def build_dir_of(folder: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> str | None:
    """Return where a project is built, if that is known without reading its settings."""
    given = variables.get("build_dir") or environment.get("LAMBDABUILD_BUILD_DIR")
    for name in (SETTINGS_FILE, "pyproject.toml"):
        if not given and _says_where(os.path.join(folder, name)):
            return None
    return os.path.normpath(os.path.join(folder, given or (APART if is_built_apart(folder) else BUILD_DIR)))


BUILD_DIR, APART = "build", ".lambdabuild"
"""Build folders of a project that names none; the second is used if the first belongs to somebody else."""


def is_built_apart(folder: str) -> bool:
    """Return whether a project that names no build folder was built in the second."""
    return os.path.isdir(os.path.join(folder, APART, STATE))


def _says_where(file: str) -> bool:
    try:
        with open(file, encoding="utf-8", errors="replace", opener=regular.opener) as stream:
            return "build_dir" in stream.read()
    except OSError:
        return False


def nothing_to_do(owners: Iterable[str], steps: int, left_out: int = 0) -> str:
    """``nothing to do: 2 functions and 1 layer up to date``, and how many names are left out: ``plan`` says why."""
    more = f"; {left_out} left out (lambdabuild plan says why)" if left_out else ""
    return f"nothing to do: {counted(owners) or number(steps, 'step')} up to date{more}"


def counted(groups: Iterable[str]) -> str:
    """``2 functions and 1 layer``, of names such as ``build:F`` and ``layer:L``."""
    kinds = [name.partition(":")[0] for name in groups]
    return " and ".join(number(count, word) for kind, word in GROUPS.items() if (count := kinds.count(kind)))


def number(count: int, word: str) -> str:
    return f"{count} {word if count == 1 else word + 's'}"
