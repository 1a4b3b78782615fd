"""A lock (pylock.toml, PEP 751) -> what is to be installed on one platform."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest, CannotResolve, HashMismatch, LambdaBuildError, NoWheel, raise_all
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.python.requirements import Requirements
from lambdabuild.python.targets import Platform

if TYPE_CHECKING:
    from packaging.pylock import Package, Pylock

WAYS_OUT = (
    "pin another version that has one, choose another runtime or architecture, or let it be built in a container with "
    'use_container = "auto"'
)


class Wheel(Struct, frozen=True):
    """A wheel of an index, or a file. ``sha256`` is "" when nobody said it; ``size`` (bytes) then is 0."""

    name: str
    version: str
    file_name: str
    url: str
    sha256: str
    size: int = 0


class Source(Struct, frozen=True):
    """Something to build first: a folder or an archive on this machine, an sdist of an index, a git checkout."""

    name: str
    version: str
    path: str = ""
    url: str = ""
    sha256: str = ""
    git: str = ""
    commit: str = ""
    subdirectory: str = ""


Choice = Wheel | Source


def parse(text: str, who: str) -> Pylock:
    from packaging.pylock import Pylock, PylockValidationError

    try:
        return Pylock.from_dict(regular.toml(text))
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise BadManifest(f"{who}: the lock cannot be read: {error}", help="make it again") from error


def select(
    lock: Pylock, platform: Platform, folder: str, who: str, requirements: Requirements | None = None,
    *, may_build: bool = False,
) -> tuple[Choice, ...]:  # fmt: skip
    """Return what to install, sorted by name; paths in the lock are relative to ``folder``.

    ``may_build``: the sdist of a package that has wheels, but none for the platform, can be built.

    Raises together: NoWheel (LB403) for packages that have wheels but none for the platform, HashMismatch (LB404) when
    hashes are pinned and a package has none of them, CannotResolve (LB408) for the wrong Python.
    """
    tags, environment = platform.tags(), platform.environment()
    errors: list[LambdaBuildError] = []
    choices: list[Choice] = []
    for package in lock.packages:
        try:
            package = _pinned(package, requirements, who) if requirements and requirements.needs_hashes else package
            choices += _selected(lock, package, tags, environment, folder, platform, who, may_build)
        except LambdaBuildError as error:
            errors.append(error)
    raise_all(errors)
    return tuple(sorted(choices, key=lambda choice: choice.name))


def check_pinned(choices: Iterable[Choice], requirements: Requirements, who: str) -> None:
    """Hold choices that a resolver made by itself against the hashes that are pinned, if any are (LB404)."""
    if not requirements.needs_hashes:
        return
    errors = []
    for choice in choices:
        hashes, where = requirements.pinned.get(choice.name, (frozenset[str](), None))
        if f"sha256:{choice.sha256}" not in hashes:
            errors.append(
                HashMismatch(
                    f"{who}: {choice.name} {choice.version} is none of those whose hash is pinned",
                    where=where,
                    help="make the hashes again: uv pip compile --generate-hashes writes all of them",
                )
            )
    raise_all(errors)


def _pinned(package: Package, requirements: Requirements, who: str) -> Package:
    """Return the package with only the files whose hash is pinned."""
    if package.directory is not None or package.vcs is not None:
        raise HashMismatch(
            f"{who}: {package.name} is a folder, which has no hash, but the requirements pin hashes",
            where=requirements.place_of(package.name),
            help="pin no hashes in this file, or take the package from an index",
        )
    hashes, where = requirements.pinned.get(str(package.name), (frozenset(), None))
    if not hashes:
        raise HashMismatch(
            f"{who}: {package.name} {package.version} is needed, but has no --hash while others have",
            where=requirements.place_of(package.name),
            help="pin it too: uv pip compile --generate-hashes writes all of them",
        )
    wheels = [wheel for wheel in package.wheels or () if _has(wheel.hashes, hashes)]
    sdist = package.sdist if package.sdist and _has(package.sdist.hashes, hashes) else None
    if not wheels and sdist is None and not (package.archive and _has(package.archive.hashes, hashes)):
        raise HashMismatch(
            f"{who}: no file of {package.name} {package.version} for this platform has a hash that is pinned",
            where=where,
            help="make the hashes again; they must be those of this version, and name wheels of Lambda's platform",
        )
    return replace(package, wheels=wheels or None, sdist=sdist)


def _has(hashes: Mapping[str, str], wanted: frozenset[str]) -> bool:
    return any(f"{name}:{digest}".lower() in wanted for name, digest in hashes.items())


def _selected(
    lock: Pylock, package: Package, tags: list[Any], environment: dict[str, str], folder: str, platform: Platform,
    who: str, may_build: bool,
) -> Iterator[Choice]:  # fmt: skip
    from packaging.pylock import PackageSdist, PylockSelectError

    reduced = replace(lock, packages=[package])
    try:
        chosen = list(reduced.select(environment=environment, tags=tags))  # type: ignore[arg-type]  # all its keys are there
    except PylockSelectError as error:
        if package.wheels:
            raise no_wheel(who, package, platform) from error
        raise CannotResolve(
            f"{who}: {package.name} cannot be used with Python {platform.python}: {error}",
            help="choose another version, or another runtime",
        ) from error
    for _, what in chosen:
        if isinstance(what, PackageSdist) and package.wheels and not may_build:
            raise no_wheel(who, package, platform)
        yield _choice(package, what, folder)


def no_wheel(who: str, package: Package, platform: Platform, where: Sequence[Span] = ()) -> NoWheel:
    tags = sorted({_file_name(wheel).removesuffix(".whl").split("-", 2)[-1] for wheel in package.wheels or ()})
    return NoWheel(
        f"{who}: {package.name} {package.version} has no wheel for Python {platform.python} on {platform.tag}",
        where=where,
        tail="\n".join(["tried: " + ", ".join(platform.platforms()), *(f"there is: {tag}" for tag in tags[:20])]),
        help=WAYS_OUT,
    )


def _choice(package: Package, what: Any, folder: str) -> Choice:
    from packaging.pylock import PackageArchive, PackageDirectory, PackageVcs, PackageWheel

    name, version = str(package.name), str(package.version or "")
    if isinstance(what, PackageDirectory):
        path = os.path.normpath(os.path.join(folder, what.path))
        return Source(name, version, path=path, subdirectory=what.subdirectory or "")
    if isinstance(what, PackageVcs):
        return Source(
            name, version, git=what.url or what.path or "", commit=what.commit_id, subdirectory=what.subdirectory or ""
        )
    url = what.url or "file://" + os.path.abspath(os.path.join(folder, what.path or ""))
    sha256 = what.hashes.get("sha256", "")
    file_name = _file_name(what)
    if isinstance(what, PackageWheel) or (isinstance(what, PackageArchive) and file_name.endswith(".whl")):
        return Wheel(name, version or file_name.split("-")[1], file_name, url, sha256, what.size or 0)
    return Source(name, version, url=url, sha256=sha256, subdirectory=getattr(what, "subdirectory", None) or "")


def _file_name(what: Any) -> str:
    name: str = getattr(what, "name", None) or file_name_of(what.url or what.path or "")
    return name


def file_name_of(url: str) -> str:
    """Return the last part of an address or a path."""
    return os.path.basename(path_of(url))


def path_of(url: str) -> str:
    """Return the path of an address, decoded."""
    return unquote(urlsplit(url).path)
