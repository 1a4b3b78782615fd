"""All that a rule may import: Target, Job, Result and its parts, and how a rule runs a tool.

A rule is a folder with a ``rule.toml`` (its claims, see ``lambdabuild.rulebook.search``) and, where the defaults do not
do, a ``rule.py`` with any of four functions, each taking a Job and giving a Result:

    resolve(job)   dependencies; reads the manifest and lock files, never the source
    fetch(job)     what compile would download, when it is to be run where there is no network
    compile(job)   what is made from source (and dependencies)
    copy(job)      which of the source goes into the artifact; by default all of it

A step does not assemble anything: it names parts (folders and archives) and the core merges, filters, zips and hashes
them. What a step writes goes into ``job.out``; ``job.scratch`` is thrown away afterwards; the source is
never written to.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from lambdabuild.core import tools
from lambdabuild.core.errors import (
    BadManifest,
    BadSource,
    BrokenEntry,
    CannotResolve,
    DownloadFailed,
    HashMismatch,
    LambdaBuildError,
    NoWheel,
    Offline,
    RequirementsClash,
    ToolFailed,
    ToolMissing,
)
from lambdabuild.core.records import Struct, field, replace
from lambdabuild.core.spans import Span
from lambdabuild.core.store import remove_broken, sha256_of

__all__ = [
    "Archive", "BadManifest", "BadSource", "CannotResolve", "DownloadFailed", "Folder", "HashMismatch", "Job",
    "KnownFailure", "LambdaBuildError", "NoWheel", "Offline", "Part", "RequirementsClash", "Result", "Span", "Target",
    "ToolFailed", "ToolMissing", "copy_file", "explain_output", "is_below", "option_words", "syntax_error",
    "write_file",
]  # fmt: skip


Step = Literal["resolve", "fetch", "compile", "copy"]


class Target(Struct, frozen=True):
    """What is being built. Folders and files are absolute paths."""

    name: str
    """The logical id, led by its stacks: ``Orders``, ``Child/Orders``."""
    kind: Literal["function", "layer", "source"]
    runtime: str
    """``python3.12``, ``nodejs22.x``; "" for a layer that names none."""
    architecture: Literal["x86_64", "arm64"]
    source: str
    manifest: str
    """"" when the rule works without one."""
    project: str
    """The project's folder: nothing outside it is read through a symlink."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """BuildProperties of the template and the settings of this function, decoded."""
    workspace: str = ""
    """The folder of the workspace's root, which ``[workspace]`` of rule.toml describes, "" when the manifest stands
    alone. It may lie above ``project``."""
    checkout: str = ""
    """The project root, the git checkout or what the setting says: nothing is looked for further up."""

    @property
    def logical_id(self) -> str:
        return self.name.rpartition("/")[2]


class Folder(Struct, frozen=True):
    """Every file below a folder, put below ``into``; ``leave_out`` are gitignore patterns."""

    path: str
    into: str = ""
    leave_out: tuple[str, ...] = ()
    replaces_source: bool = False
    """It goes before the source, where both have a file: what scripts made of it."""


class Archive(Struct, frozen=True):
    """Every file of a zip archive that stays where it is (a store), put below ``into``.

    ``moves`` are (prefix in the archive, prefix in the artifact), first match wins; ``leave_out`` are gitignore
    patterns on the names in the archive. ``origin`` names it to people: "requests 2.32.3".
    """

    path: str
    into: str = ""
    moves: tuple[tuple[str, str], ...] = ()
    leave_out: tuple[str, ...] = ()
    origin: str = ""


Part = Folder | Archive


def broken(path: str) -> BrokenEntry:
    """The warning about something in the machine's store that is not what its path promises."""
    return BrokenEntry(
        f"{path} is not what its name promises, and is removed",
        help="nothing to do: it is fetched or made again; look at the disk, or at who else may write there",
    )


def discard(path: str) -> None:
    """Remove what is broken in the store, and say so."""
    remove_broken(path)
    sys.stderr.write(f"{broken(path)}\n")


class Result(Struct, frozen=True):
    """What a step leaves: parts of the artifact, in rising precedence of nothing: a collision of parts is an error.

    ``reads`` are files the step consulted beside its declared inputs (included requirements, local packages): absolute
    paths of files or folders, checked by content before the next run. ``notes`` are for people. ``facts`` is plain
    data for the manifest and the report, such as the packages resolved.
    """

    parts: tuple[Part, ...] = ()
    reads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Job(Struct, frozen=True):
    """One run of one step. ``earlier`` holds the results of the steps before it, by step name."""

    step: Step
    target: Target
    out: str
    scratch: str
    store: str
    """The machine's folder for downloads, shared by all projects; entries are named by their sha256."""
    cache: str = ""
    """A folder of this target's own that stays from run to run, for what a tool saves to be faster the next time. It
    may be gone at any time, and what is in it must not change the result. The rule makes it when it needs it."""
    offline: bool = False
    environment: tuple[str, ...] = ()
    """Names of the variables that the rule's claims let through to tools."""
    timeout_seconds: float | None = None
    earlier: Mapping[str, Result] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """What of the source may enter the artifact: POSIX paths below ``target.source``. For resolve what lies beside the
    manifest, when that has one of the step's ``source_keys``; else nothing."""
    runner: tools.Runner = tools.HERE
    """Where this step's tools run."""
    in_source: bool = False
    """Tools work in the source itself, because the user asked for that, and not in a copy of it."""
    use_container: Literal["", "auto", "true"] = ""
    """True if what must be compiled is (``auto``), or all tools are (``true``), run in a container like the runtime."""
    container: tools.Runner | None = None
    """That container; None when ``use_container`` is ""."""
    digest: Callable[[str], str] = sha256_of
    """The sha256 of a file, in hex; a build remembers those of files that did not change."""
    discard: Callable[[str], object] = discard
    """Removes what is broken in the store, and says so."""

    @property
    def who(self) -> str:
        """How messages name what this is for: ``function 'Orders'``."""
        return f"{self.target.kind} {self.target.name!r}"

    def is_whole(self, path: str, sha256: str) -> bool:
        """Return whether a file of the store is there as its name promises; one that is not is discarded."""
        try:
            found = self.digest(path)
        except OSError:
            return False
        if found != sha256:
            self.discard(path)
        return found == sha256

    def place(self, file: str, line: int = 1, column: int = 1) -> Span:
        """A place in a file, named as the user knows it: from the project's folder."""
        return Span(os.path.relpath(file, self.target.project), line, column)

    def parent_folder(self, packages: object) -> tuple[str, tuple[str, ...]]:
        """Where source goes that is below packages: ``app.orders`` is app/orders. The source's own folder wins."""
        folder = "/".join(filter(None, packages.split("."))) if isinstance(packages, str) else ""
        if folder and any(name.startswith(folder + "/") for name in self.files):
            return "", (f"{self.target.name}: its code is not put below {folder}/, which it has already",)
        return folder, ()

    def copied_source(self) -> str:
        """A copy of the source in the scratch folder, for tools that write beside what they read.

        With ``in_source`` it is the source itself.
        """
        if self.in_source:
            return self.target.source
        copy = os.path.join(self.scratch, "source")
        os.makedirs(copy, exist_ok=True)
        for name in self.files:
            target = os.path.join(copy, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(os.path.join(self.target.source, name), target)
            os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)
        return copy

    def here(self) -> Job:
        """The same with tools of this machine, for what a container would do no differently: choosing wheels."""
        return self if self.container is None else replace(self, runner=tools.HERE)

    def contained(self) -> Job:
        """The same with tools in the container."""
        return replace(self, runner=self.container or self.runner)

    def tool(self, name: str, help: str = "") -> str:
        """The path of a program, or ToolMissing."""
        found = self.runner.find(name)
        if found is None and self.container is not None and self.runner is self.container:
            raise ToolMissing(
                f"{self.who} needs {name!r}, which its container does not have",
                help="choose an image that has it (image, images, dockerfile)",
            )
        if found is None:
            raise ToolMissing(f"{self.who} needs {name!r}, which is not on PATH", help=help or f"install {name}")
        return found

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        extra_environment: Mapping[str, str] | None = None,
        help: str = "",
        stdin: str | None = None,
    ) -> tools.Output:
        """Run a tool in ``cwd`` (the scratch folder by default) with the declared environment only."""
        return self.runner.run(
            argv,
            cwd=cwd or self.scratch,
            names=self.environment,
            extra=extra_environment or {},
            timeout_seconds=self.timeout_seconds,
            who=self.who,
            help=help,
            stdin=stdin,
        )


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or something in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def copy_file(source: str, target: str) -> None:
    """Copy a file with its mode, and make the folder that it goes into."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(source, target)


def write_file(file: str, text: str) -> None:
    """Write a text file in UTF-8, and make the folder that it goes into."""
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(text)


def option_words(job: Job, name: str) -> list[str]:
    """Return an option's words; a string is split as a shell does."""
    value = job.target.options.get(name, ())
    return shlex.split(value) if isinstance(value, str) else [str(word) for word in value]


def syntax_error(job: Job, file: str, language: str, error: Exception, line: int, column: int) -> BadManifest:
    """Return the error for a file that is not valid XML, JSON or whatever ``language`` it should be in."""
    shown = os.path.relpath(file, job.target.project)
    place = job.place(file, line, column)
    return BadManifest(f"{job.who}: {shown} is not {language}: {error}", where=place, help="correct it there")


class KnownFailure(Struct, frozen=True):
    """A failure that a tool's output identifies, as a row of a table: what to look for, and the error to raise.

    ``help`` may name groups of the pattern (``{0}``) and words that the rule passes (``{triple}``).
    """

    pattern: str
    """A regular expression, searched for in the output."""
    error: type[LambdaBuildError]
    message: str
    help: str
    only_offline: bool = False
    """Ignore this row in a run that is not offline."""
    at_manifest: bool = False
    """Point at the manifest instead of the place that the output names."""


def explain_output(
    job: Job,
    failed: ToolFailed,
    known: Iterable[KnownFailure],
    *,
    output: str | None = None,
    where: Span | Sequence[Span] | None = None,
    tail: str = "",
    **words: str,
) -> LambdaBuildError:
    """Return the error of the first row whose pattern the output contains, or ``failed`` itself when none fits.

    ``output`` is what to search (everything the tool printed, by default), ``where`` the place to show (by default the
    manifest, or the source folder of a target without one), and ``tail`` the lines of output to show.
    """
    text = failed.output if output is None else output
    for row in known:
        match = re.search(row.pattern, text)
        if match and (job.offline or not row.only_offline):
            manifest = job.target.manifest or job.target.source
            place = job.place(manifest) if where is None or row.at_manifest else where
            help = row.help.format(*match.groups(), **words)
            return row.error(f"{job.who}: {row.message}", where=place, tail=tail, help=help)
    return failed


def portable(path: str, folders: Mapping[str, str]) -> str:
    """A path below one of the named folders as ``{name}/rest``; another as it is."""
    for name, folder in folders.items():
        if is_below(path, folder):
            return "{" + name + "}" + path[len(folder.rstrip(os.sep)) :]
    return path


def expanded(path: str, folders: Mapping[str, str]) -> str:
    """The inverse of ``portable``. Raises KeyError for a folder that has no name here."""
    if not path.startswith("{"):
        return path
    name, _, rest = path[1:].partition("}")
    return folders[name] + rest


def result_to_data(result: Result, relative_to: Mapping[str, str]) -> dict[str, Any]:
    """A Result as plain JSON data; paths below a named folder are kept as ``{name}/rest`` so that records can move."""
    return {
        "parts": [_part_to_data(part) | {"path": portable(part.path, relative_to)} for part in result.parts],
        "reads": [portable(read, relative_to) for read in result.reads],
        "notes": list(result.notes),
        "facts": json.loads(json.dumps(result.facts)),
    }


def _part_to_data(part: Part) -> dict[str, Any]:
    shared = {"into": part.into, "leave_out": list(part.leave_out)}
    if isinstance(part, Folder):
        return {"folder": True, "replaces_source": part.replaces_source} | shared
    return {"folder": False, "moves": [list(move) for move in part.moves], "origin": part.origin} | shared


def result_from_data(data: Mapping[str, Any], relative_to: Mapping[str, str]) -> Result:
    """The inverse of ``result_to_data``."""

    def part(item: Mapping[str, Any]) -> Part:
        where, into, leave_out = expanded(item["path"], relative_to), item["into"], tuple(item["leave_out"])
        if item["folder"]:
            return Folder(where, into, leave_out, bool(item.get("replaces_source")))
        moves = tuple((old, new) for old, new in item["moves"])
        return Archive(where, into, moves, leave_out, item["origin"])

    return Result(
        tuple(part(item) for item in data["parts"]),
        tuple(expanded(text, relative_to) for text in data["reads"]),
        tuple(data["notes"]),
        data["facts"],
    )
