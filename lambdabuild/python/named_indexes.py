"""Indexes that a lock or manifest names, and where it says that a package comes from -> what uv is told.

What is told to come from a path, from git or from a named index is asked of nobody else: an index where anybody may
publish can have the same name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lambdabuild.aws import codeartifact
from lambdabuild.core.records import replace
from lambdabuild.python.indexes import Indexes, is_pypi
from lambdabuild.python.requirements import Line, Requirements
from lambdabuild.python.uv import Ask
from lambdabuild.rule_api import Job

FROM_PYPI = "https://pypi.org/simple"


@dataclass(frozen=True)
class Index:
    """An index that a lock or manifest names; its address may hold credentials, filled in from the environment."""

    name: str
    url: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_pypi(self) -> bool:
        return is_pypi(self.url)

    @property
    def label(self) -> str:
        """Its name as uv takes it."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-") or "index"


@dataclass(frozen=True)
class Origins:
    """The sources that a manifest, and the local projects it leads to, give for packages."""

    direct: Mapping[str, Line] = field(default_factory=dict)
    """``{package: a line such as name @ file:///folder}``"""
    named: Mapping[str, Index] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    """For all other packages; when there are none, the environment says."""
    folders: tuple[str, ...] = ()
    """The local projects among ``direct``."""

    def and_then(self, other: Origins) -> Origins:
        """Return these sources plus another's for packages that are not in here."""
        direct = {name: line for name, line in other.direct.items() if name not in self.named}
        named = {name: index for name, index in other.named.items() if name not in self.direct}
        folders = tuple(dict.fromkeys((*self.folders, *other.folders)))
        return Origins({**direct, **self.direct}, {**named, **self.named}, self.indexes, folders)


NOTHING_TOLD = Origins()


def index_of(name: str, url: str, user: str = "", password: str = "") -> Index:
    """Return an index; credentials in the address are taken out of it, so that no lock that uv writes holds them."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return Index(name, bare, user or unquote(parts.username or ""), password or unquote(parts.password or ""))


def with_indexes(job: Job, known: Indexes, named: Sequence[Index], more: Mapping[str, str]) -> Indexes:
    """Return the same with indexes that a lock names. PyPI is what the environment says it is, which may be a mirror.

    ``more`` holds what uv is told once there are several. By itself it takes a package from the first index that has
    it, so a name of a private index cannot be taken on PyPI.
    """
    private = [index for index in named if not index.is_pypi]
    if not private:
        return known
    environment = {**known.environment}
    for name, value in more.items():
        environment.setdefault(name, value)
    if len(private) == len(named):
        environment["UV_DEFAULT_INDEX"] = private[-1].url
    given = environment.get("UV_INDEX", "").split()
    environment["UV_INDEX"] = " ".join([*given, *(f"{index.label}={index.url}" for index in private)])
    return with_logins(job, Indexes(environment, known.credentials), private)


def pinned(job: Job, ask: Ask, origins: Origins) -> tuple[Ask, Requirements | None]:
    """Return the request to uv, extended by a line for every package with a source of its own.

    Paths and commits are constraints; the lines of these are given too. An index for some packages only, uv takes
    from a pyproject.toml alone.
    """
    more, lines = list(ask.more), None
    if origins.direct:
        lines = _constraints(job, origins)
        ask = replace(ask, constraints=(*ask.constraints, lines.file))
    if origins.named:
        more.append(_project(job, ask.indexes, origins.named))
    return replace(ask, more=tuple(more)), lines


def _constraints(job: Job, origins: Origins) -> Requirements:
    file = os.path.join(job.scratch, "origins.txt")
    lines = [
        replace(line, where=replace(line.where, line=number), file=file, base=job.scratch)
        for number, line in enumerate(origins.direct.values(), 1)
    ]
    Path(file).write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8")
    return Requirements(file, tuple(lines), (file,))


def _project(job: Job, where: Indexes, named: Mapping[str, Index]) -> str:
    """Write a project that needs these packages, each from its index and no other; return its manifest."""
    folder = os.path.join(job.scratch, "origins")
    os.makedirs(folder, exist_ok=True)
    text = '[project]\nname = "lambdabuild-origins"\nversion = "0"\ndependencies = []\n'
    text = text.replace("[]", str(sorted(named)))
    text += "[tool.uv.sources]\n" + "".join(f"{name} = {{ index = '{named[name].label}' }}\n" for name in sorted(named))
    for label, url in sorted({(index.label, _address(index, where)) for index in named.values()}):
        text += f"[[tool.uv.index]]\nname = '{label}'\nurl = '{url}'\nexplicit = true\n"
    file = os.path.join(folder, "pyproject.toml")
    Path(file).write_text(text, encoding="utf-8")
    return file


def _address(index: Index, where: Indexes) -> str:
    """PyPI is what the environment says it is, which may be a mirror."""
    mirror = where.environment.get("UV_DEFAULT_INDEX") or where.environment.get("UV_INDEX_URL") or ""
    return re.sub(r"^[A-Za-z0-9_-]+=(?=https?:)", "", mirror) or index.url if index.is_pypi else index.url


def with_logins(job: Job, known: Indexes, private: Iterable[Index]) -> Indexes:
    """Return the same with the credentials that these indexes require."""
    environment, credentials = {**known.environment}, {**known.credentials}
    for index in private:
        user, password = _login(job, index)
        if user or password:
            label = index.label.upper().replace("-", "_")
            environment |= {f"UV_INDEX_{label}_USERNAME": user, f"UV_INDEX_{label}_PASSWORD": password}
            credentials[urlsplit(index.url).netloc] = (user, password)
    return Indexes(environment, credentials)


def _login(job: Job, index: Index) -> tuple[str, str]:
    """Return the credentials of an index; for CodeArtifact a token of AWS when none were given."""
    host = urlsplit(index.url).netloc
    if index.password or job.offline or not codeartifact.is_host(host):
        return index.user, index.password
    return codeartifact.USER, codeartifact.token(host)
