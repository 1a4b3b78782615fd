"""Locks of other tools: exact versions with hashes, and what stands beside any index -> the parts of an artifact.

Which wheel of a locked version fits the platform, and where it lies, is asked of uv; nothing is resolved again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lambdabuild.aws import codeartifact
from lambdabuild.errors import BadManifest, HashMismatch, LambdaBuildError, NoWheel, Several
from lambdabuild.rule_api import Folder, Job, Result
from lambdabuild.spans import Span
from lambdabuild.wheels import indexes, locks, resolve, uv
from lambdabuild.wheels.indexes import Indexes
from lambdabuild.wheels.requirements import Line, Requirements
from lambdabuild.wheels.targets import Platform

PYPI = frozenset({"pypi.org", "pypi.python.org"})
LOCAL_METADATA = re.compile(r"^(Requires-Dist: [^@\n]*?) @ file:[^;\n]*?(?= ;|$)", re.MULTILINE)
"""How poetry-core records a path dependency: with the folder's place on this machine."""


@dataclass(frozen=True)
class Pin:
    """One version of a package from an index; what is taken must have one of the ``hashes`` (``sha256:...``)."""

    name: str
    version: str
    hashes: tuple[str, ...]
    where: Span


@dataclass(frozen=True)
class Index:
    """An index that a lock or manifest names; its address may hold credentials, filled in from the environment."""

    name: str
    url: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_pypi(self) -> bool:
        return urlsplit(self.url).hostname in PYPI


@dataclass(frozen=True)
class Locked:
    """A lock as far as one platform and the chosen groups need it."""

    file: str
    pins: tuple[Pin, ...]
    direct: tuple[locks.Choice, ...]
    """Folders, files, addresses and git commits, which need no index."""
    indexes: tuple[Index, ...]
    again: str
    """The command that makes the lock anew."""


@dataclass(frozen=True)
class Asked:
    """What a manifest without a lock asks for on one platform."""

    file: str
    lines: tuple[tuple[str, Span], ...]
    """Requirements (PEP 508), each with its place."""
    indexes: tuple[Index, ...]
    projects: tuple[str, ...] = ()
    """Folders that local projects ask for in turn."""


@contextmanager
def reading(job: Job, file: str, mend: str) -> Iterator[None]:
    """Data of another shape than its tool gives it is told with its file: BadManifest (LB402).

    Holding every entry against a schema first would be more code than reading them.
    """
    try:
        yield
    except BadManifest as error:
        error.where = error.where or (job.place(file),)
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadManifest(
            f"{job.who}: {os.path.basename(file)} cannot be read: {type(error).__name__}: {error}",
            where=job.place(file),
            mend=mend,
        ) from error


def from_lock(job: Job, platform: Platform, locked: Locked, reads: Sequence[str], notes: Sequence[str] = ()) -> Result:
    """The parts of all that is locked. Raises what ``uv.compile_lock`` and ``fetch.fetch`` raise."""
    folder = os.path.dirname(locked.file)
    # Where hashes decide, it does no harm to look in every index, and a name may be in several.
    more = {"UV_INDEX_STRATEGY": "unsafe-best-match"} if all(pin.hashes for pin in locked.pins) else {}
    where = _with_indexes(job, indexes.of(folder, None, offline=job.offline), locked.indexes, more)
    lines = [(" ".join([f"{p.name}=={p.version}", *(f"--hash={h}" for h in p.hashes)]), p.where) for p in locked.pins]
    chosen = list(locked.direct)
    with reading(job, locked.file, f"make it again with: {locked.again}"):
        _check_tags(job, platform, locked)
    if lines:
        ask, listed = _ask(job, locked.file, lines, where)
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
                mend=locks.WAYS_OUT,
            )


def from_constraints(
    job: Job, platform: Platform, asked: Asked, reads: Sequence[str], notes: Sequence[str] = ()
) -> Result:
    """The parts of all that is asked for, resolved for the platform. Raises what ``uv.compile_lock`` does."""
    if not asked.lines and not job.target.options.get("requirements"):
        return Result(reads=tuple(reads), notes=tuple(notes))
    found = indexes.of(os.path.dirname(asked.file), None, offline=job.offline)
    where = _with_indexes(job, found, asked.indexes, {})
    ask, listed = _ask(job, asked.file, asked.lines, where)
    local_paths = list(dict.fromkeys([*listed.local_paths(), *asked.projects]))
    choices, older = resolve._compiled(job, ask, platform, listed, local_paths)
    together, more = resolve.joined(job, platform, where, choices)
    return _result(job, where, together, [*reads, *local_paths, *more], [*notes, *older])


def _ask(job: Job, file: str, lines: Sequence[tuple[str, Span]], where: Indexes) -> tuple[uv.Ask, Requirements]:
    """The lines as a requirements file in the scratch folder, each on the line that it has in the user's file."""
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
    """The file beside a manifest in which uv is told where packages come from."""
    return os.path.join(os.path.dirname(file), "uv.toml")


def _with_indexes(job: Job, found: Indexes, named: Sequence[Index], more: Mapping[str, str]) -> Indexes:
    """The same with indexes that a lock names. PyPI is what the environment says it is, which may be a mirror.

    ``more`` holds what uv is told once there are several. By itself it takes a package from the first index that has
    it, so a name of a private index cannot be taken on PyPI.
    """
    private = [index for index in named if not index.is_pypi]
    if not private:
        return found
    environment = {**found.environment}
    for name, value in more.items():
        environment.setdefault(name, value)
    if len(private) == len(named):
        environment.setdefault("UV_DEFAULT_INDEX", private[-1].url)
    given = environment.get("UV_INDEX", "").split()
    environment["UV_INDEX"] = " ".join([*given, *(f"{_label(index.name)}={index.url}" for index in private)])
    credentials = {**found.credentials}
    for index in private:
        user, password = _login(job, index)
        if user or password:
            label = _label(index.name).upper().replace("-", "_")
            environment |= {f"UV_INDEX_{label}_USERNAME": user, f"UV_INDEX_{label}_PASSWORD": password}
            credentials[urlsplit(index.url).netloc] = (user, password)
    return Indexes(environment, credentials)


def _login(job: Job, index: Index) -> tuple[str, str]:
    """What an index wants; CodeArtifact's own token when nobody gave one."""
    host = urlsplit(index.url).netloc
    if index.password or job.offline or not codeartifact.is_host(host):
        return index.user, index.password
    return codeartifact.USER, codeartifact.token(host)


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "index"


def index_of(name: str, url: str, user: str = "", password: str = "") -> Index:
    """An index; credentials in the address are taken out of it, so that no lock that uv writes holds them."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return Index(name, bare, user or unquote(parts.username or ""), password or unquote(parts.password or ""))


def file_or_folder(
    job: Job, name: str, version: str, path: str, sha256: str, where: Span, subdirectory: str = ""
) -> locks.Choice:
    """What a path in a lock stands for: a project to build, or a wheel or sdist on this machine."""
    if os.path.isdir(path):
        return locks.Source(name, version, path=path, subdirectory=subdirectory)
    if not os.path.isfile(path):
        raise BadManifest(
            f"{job.who}: {name} is to come from {os.path.relpath(path, job.target.project)}, which is not there",
            where=where,
            mend="correct the path; it is relative to the manifest",
        )
    return at_address(name, version, Path(path).as_uri(), sha256, subdirectory)


def at_address(name: str, version: str, url: str, sha256: str, subdirectory: str = "") -> locks.Choice:
    """What an address in a lock stands for: a wheel, or an archive to build."""
    file_name, bare = locks.file_name_of(url), url.partition("#")[0]
    if file_name.endswith(".whl"):
        return locks.Wheel(name, version or file_name.split("-")[1], file_name, bare, sha256)
    return locks.Source(name, version, url=bare, sha256=sha256, subdirectory=subdirectory)


def sha256_among(hashes: Sequence[str]) -> str:
    """The only sha256 of a list of hashes; "" when there is none, or no telling which it is."""
    found = [text.removeprefix("sha256:") for text in hashes if text.startswith("sha256:")]
    return found[0] if len(found) == 1 else ""


def _mended(error: LambdaBuildError, again: str) -> LambdaBuildError:
    """Hashes are made anew by the tool whose lock it is."""
    if isinstance(error, Several):
        return Several(_mended(inner, again) for inner in error.errors)
    if isinstance(error, HashMismatch):
        mend = f"if no package was changed by hand, make the lock again with: {again}"
        return HashMismatch(error.message, where=error.where, tail=error.tail, mend=mend)
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
