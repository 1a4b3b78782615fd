"""Locks of other tools: exact versions with hashes, and what comes from no index -> the parts of an artifact.

uv chooses the wheel of a locked version that fits the platform, and says where it is; nothing is resolved again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from lambdabuild.core.errors import BadManifest, HashMismatch, LambdaBuildError, NoWheel, Several
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Span
from lambdabuild.python import indexes, locks, named_indexes, project, resolve, uv
from lambdabuild.python.indexes import Indexes
from lambdabuild.python.named_indexes import NOTHING_TOLD, Index, Origins, with_indexes, with_logins
from lambdabuild.python.poetry import sources
from lambdabuild.python.requirements import Line, Requirements
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Folder, Job, Result

LOCAL_METADATA = re.compile(r"^(Requires-Dist: [^@\n]*?) @ file:[^;\n]*?(?= ;|$)", re.MULTILINE)
"""How poetry-core records a path dependency: with the folder's place on this machine."""


class Pin(Struct, frozen=True):
    """One version of a package from an index; what is taken must have one of the ``hashes`` (``sha256:...``)."""

    name: str
    version: str
    hashes: tuple[str, ...]
    where: Span
    index: Index | None = None
    """The index or address that the lock names."""


class Locked(Struct, frozen=True):
    """A lock as far as one platform and the chosen groups need it."""

    file: str
    pins: tuple[Pin, ...]
    direct: tuple[locks.Choice, ...]
    """Folders, files, addresses and git commits, which need no index."""
    indexes: tuple[Index, ...]
    again: str
    """The command that writes the lock again."""


class Asked(Struct, frozen=True):
    """The requirements of a manifest without a lock, for one platform."""

    file: str
    lines: tuple[tuple[str, Span], ...]
    """Requirements (PEP 508), each with its place."""
    origins: Origins = NOTHING_TOLD
    """The package indexes that it names; packages that ``lines`` name by address are not included."""
    projects: tuple[str, ...] = ()
    """Folders that local projects ask for in turn."""


def from_lock(job: Job, platform: Platform, locked: Locked, reads: Sequence[str], notes: Sequence[str] = ()) -> Result:
    """Return the parts of all that is locked. Raises what ``uv.compile_lock`` and ``fetch.fetch`` raise."""
    folder = os.path.dirname(locked.file)
    # Where hashes decide, it does no harm to look in every index, and a name may be in several.
    more = {"UV_INDEX_STRATEGY": "unsafe-best-match"} if all(pin.hashes for pin in locked.pins) else {}
    where = with_indexes(job, indexes.of(folder, None, offline=job.offline), locked.indexes, more)
    lines = [(" ".join([f"{p.name}=={p.version}", *(f"--hash={h}" for h in p.hashes)]), p.where) for p in locked.pins]
    chosen = list(locked.direct)
    with project.reading(job, locked.file, f"make it again with: {locked.again}"):
        _check_tags(job, platform, locked)
    if lines:
        ask, listed = _ask(job, locked.file, lines, where)
        # A hash says who it is; without one, only the index does.
        named = {pin.name: pin.index for pin in locked.pins if pin.index and not pin.hashes}
        where = with_logins(job, where, named.values())
        ask, _ = named_indexes.pinned(job, replace(ask, indexes=where), Origins(named=named))
        try:
            chosen += uv.compile_lock(job, replace(ask, extra=("--no-deps",)), platform, listed)
        except LambdaBuildError as error:
            raise _mended(error, locked.again) from error
    chosen.sort(key=lambda choice: choice.name)
    files = [locks.path_of(choice.url) for choice in chosen if choice.url.startswith("file:")]
    together, others = resolve.joined(job, platform, where, tuple(chosen))
    return _result(job, where, together, [*reads, *files, *others], notes)


def _check_tags(job: Job, platform: Platform, locked: Locked) -> None:
    """A wheel that is named by its address may be for another platform."""
    from packaging.utils import parse_wheel_filename

    for wheel in locked.direct:
        if isinstance(wheel, locks.Wheel) and not parse_wheel_filename(wheel.file_name)[3] & set(platform.tags()):
            raise NoWheel(
                f"{job.who}: {wheel.file_name} cannot be used with Python {platform.python} on {platform.tag}",
                where=job.place(locked.file),
                tail="tried: " + ", ".join(platform.platforms()),
                help=locks.WAYS_OUT,
            )


def from_constraints(
    job: Job, platform: Platform, asked: Asked, reads: Sequence[str], notes: Sequence[str] = ()
) -> Result:
    """Return the parts of all that is asked for, resolved for the platform. Raises what ``uv.compile_lock`` does."""
    if not asked.lines and not job.target.options.get("requirements"):
        return Result(reads=tuple(reads), notes=tuple(notes))
    known = indexes.of(os.path.dirname(asked.file), None, offline=job.offline)
    where = with_indexes(job, known, asked.origins.indexes, {})
    ask, listed = _ask(job, asked.file, asked.lines, where)
    named = [*listed.local_paths(), *asked.projects]
    projects = resolve._projects(named, listed)
    told = Origins({}, asked.origins.named).and_then(sources.of_projects(job, projects, platform))
    where = with_logins(job, where, told.named.values())
    ask, local_paths = replace(ask, indexes=where), list(dict.fromkeys([*named, *projects, *told.folders]))
    choices, older = resolve._compiled(job, ask, platform, listed, local_paths, told)
    together, more = resolve.joined(job, platform, where, choices)
    return _result(job, where, together, [*reads, *local_paths, *more], [*notes, *older])


def _ask(job: Job, file: str, lines: Sequence[tuple[str, Span]], where: Indexes) -> tuple[uv.Ask, Requirements]:
    """Write the lines as a requirements file in the scratch folder, each on its line of the user's file.

    Return its path.
    """
    folder = os.path.join(job.scratch, "requirements")
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(file)
    # uv would read what is called pyproject.toml as one.
    copy = os.path.join(folder, f"{name} dependencies" if name.endswith(".toml") else name)
    listed: list[Line] = []
    texts: list[str] = []
    for text, place in sorted(lines, key=lambda line: (line[1].line, line[0])):
        texts += [""] * (place.line - len(texts) - 1)
        texts.append(text)
        listed.append(Line(text, replace(place, line=len(texts)), copy))
    Path(copy).write_text("\n".join(texts) + "\n", encoding="utf-8")
    # An empty one too, or uv would go on looking in the folders above.
    settings = configuration(file) if os.path.isfile(configuration(file)) else os.devnull
    shutil.copyfile(settings, os.path.join(folder, "uv.toml"))
    ask = uv.Ask(copy, find_links=resolve._links(job), indexes=where, copy_of=file)
    return ask, Requirements(copy, tuple(listed), ())


def configuration(file: str) -> str:
    """Return the file next to a manifest in which uv is told where packages come from."""
    return os.path.join(os.path.dirname(file), "uv.toml")


def file_or_folder(
    job: Job, name: str, version: str, path: str, sha256: str, where: Span, subdirectory: str = ""
) -> locks.Choice:
    """Return the choice for a path in a lock: a project to build, or a wheel or sdist on this machine."""
    if os.path.isdir(path):
        return locks.Source(name, version, path=path, subdirectory=subdirectory)
    if not os.path.isfile(path):
        raise BadManifest(
            f"{job.who}: {name} is to come from {os.path.relpath(path, job.target.project)}, which does not exist",
            where=where,
            help="correct the path; it is relative to the manifest",
        )
    return at_address(name, version, Path(path).as_uri(), sha256, subdirectory)


def at_address(name: str, version: str, url: str, sha256: str, subdirectory: str = "") -> locks.Choice:
    """Return the choice for an address in a lock: a wheel, or an archive to build."""
    file_name, bare = locks.file_name_of(url), url.partition("#")[0]
    if file_name.endswith(".whl"):
        return locks.Wheel(name, version or file_name.split("-")[1], file_name, bare, sha256)
    return locks.Source(name, version, url=bare, sha256=sha256, subdirectory=subdirectory)


def sha256_among(hashes: Sequence[str]) -> str:
    """Return the only sha256 of a list of hashes; "" when there is none, or no telling which it is."""
    digests = [text.removeprefix("sha256:") for text in hashes if text.startswith("sha256:")]
    return digests[0] if len(digests) == 1 else ""


def _mended(error: LambdaBuildError, again: str) -> LambdaBuildError:
    """Only the tool that wrote the lock can renew its hashes."""
    if isinstance(error, Several):
        return Several(_mended(inner, again) for inner in error.errors)
    if isinstance(error, HashMismatch):
        help = f"if no package was changed by hand, make the lock again with: {again}"
        return HashMismatch(error.message, where=error.where, tail=error.tail, help=help)
    return error


def _result(
    job: Job, where: Indexes, choices: Sequence[locks.Choice], reads: Sequence[str], notes: Sequence[str]
) -> Result:
    result = resolve._result(job, where, choices, list(reads), list(notes))
    for part in result.parts:
        if isinstance(part, Folder):
            _forget_places(part.path)
    return result


def _forget_places(folder: str) -> None:
    """Take this machine's folders out of the metadata of a package that was built here."""
    for metadata in Path(folder).glob("*.dist-info/METADATA"):
        text = metadata.read_text(encoding="utf-8")
        metadata.write_text(LOCAL_METADATA.sub(r"\1", text), encoding="utf-8")
