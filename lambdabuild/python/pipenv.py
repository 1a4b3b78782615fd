"""A Pipfile with its Pipfile.lock -> what is to be installed on one platform.

The formats: https://pipenv.pypa.io/en/latest/pipfile.html and https://github.com/pypa/pipfile
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Span
from lambdabuild.python import locks, pins, project, targets
from lambdabuild.python.named_indexes import Index, Origins, index_of
from lambdabuild.python.poetry.manifest import holds
from lambdabuild.python.requirements import normalised
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Job, Result

DEFAULT = "default"
AGAIN = "pipenv lock"
PAGE = "write it as https://pipenv.pypa.io/en/latest/pipfile.html says"
IN_PIPFILE = {DEFAULT: "packages", "develop": "dev-packages"}
"""The names in a lock of the two sections that every Pipfile has; others keep their names."""
NO_PACKAGES = frozenset({"source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv"})
PYPI = {"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": True}
VARIABLE = re.compile(r"'?\$\{(\w+)\}'?|\$(\w+)")


class Pipfile(Struct, frozen=True):
    """A Pipfile, and the sections of it that are wanted, as a lock calls them."""

    file: str
    shown: str
    text: str
    data: Mapping[str, Any]
    groups: tuple[str, ...]

    @property
    def folder(self) -> str:
        return os.path.dirname(self.file)

    def section(self, group: str) -> Mapping[str, Any]:
        """``{package: what is said of it}`` of a section; a bare version is a table of its own."""
        entries = self.data.get(IN_PIPFILE.get(group, group), {})
        return {
            normalised(name): given if isinstance(given, dict) else {"version": given}
            for name, given in entries.items()
        }

    def where(self, name: str) -> Span:
        spelling = re.sub(r"\\?[-_.]+", "[-_.]+", re.escape(name))
        match = re.search(rf"(?im)^[ \t]*[\"']?{spelling}[\"']?[ \t]*=", self.text)
        return Span(self.shown, self.text.count("\n", 0, match.start()) + 1 if match else 1)


def from_pipfile(job: Job) -> Result:
    """Packages of a Pipfile as its Pipfile.lock says, or as [packages] does without one."""
    platform = targets.platform_of(job.target.runtime, job.target.architecture, job.who)
    file = job.target.manifest
    lock = os.path.join(os.path.dirname(file), "Pipfile.lock")
    has_lock, reads = os.path.isfile(lock), [pins.configuration(file)]
    with project.reading(job, file, PAGE):
        pipfile = read(job, file)
        notes = _other_python(pipfile, platform)
        asked = None if has_lock else _asked(job, pipfile, platform)
    if asked:
        return pins.from_constraints(job, platform, asked, [*reads, lock], notes)
    with project.reading(job, lock, f"make it again with: {AGAIN}"):
        locked = read_lock(job, pipfile, lock, platform)
    return pins.from_lock(job, platform, locked, reads, notes)


def _asked(job: Job, pipfile: Pipfile, platform: Platform) -> pins.Asked:
    lines = [
        (_requirement(pipfile, name, table), pipfile.where(name))
        for group in pipfile.groups
        for name, table in pipfile.section(group).items()
        if holds(_marker(table, platform), platform, where=pipfile.where(name))
    ]
    return pins.Asked(pipfile.file, tuple(lines), Origins(named=_named(job, pipfile), indexes=_sources(pipfile)))


def _sources(pipfile: Pipfile) -> tuple[Index, ...]:
    return tuple(map(_index, pipfile.data.get("source", [PYPI])))


def _named(job: Job, pipfile: Pipfile) -> dict[str, Index]:
    """Return the packages of which it is said which index has them."""
    known = {source.name: source for source in _sources(pipfile)}
    sources = {}
    for group in pipfile.groups:
        for name, table in pipfile.section(group).items():
            if "index" in table:
                sources[name] = _source_of(job, pipfile, known, name, str(table["index"]))
    return sources


def _source_of(job: Job, pipfile: Pipfile, known: Mapping[str, Index], name: str, asked: str) -> Index:
    """Return an index by its name or, as Pipenv takes it too, by its address."""
    if "://" in asked:
        return _index({"name": name, "url": asked})
    if asked not in known:
        raise BadManifest(
            f"{job.who}: {name} is to come from the index {asked!r}, which {pipfile.shown} does not have",
            where=pipfile.where(name),
            help=f"name one of: {', '.join(sorted(known))}, or add it as [[source]]",
        )
    return known[asked]


def read(job: Job, file: str) -> Pipfile:
    """Raises BadManifest (LB402) for what cannot be read, or for a section that is wanted and not there."""
    shown = os.path.relpath(file, job.target.project)
    data = project._toml(file, shown)
    for name, section in data.items():
        if not isinstance(section, list if name == "source" else dict):
            raise BadManifest(
                f"{job.who}: {name} in {shown} is no section, but {section!r}", where=Span(shown), help=PAGE
            )
    in_lock = {section: name for name, section in IN_PIPFILE.items()}
    asked = project._names(job, "groups") or [DEFAULT]
    groups = tuple(dict.fromkeys(in_lock.get(name, name) for name in asked))
    known = {*IN_PIPFILE, *(name for name in data if name not in NO_PACKAGES)}
    for name in groups:
        if name not in known:
            raise BadManifest(
                f"{job.who} asks for the group {name}, which {shown} has not",
                where=Span(shown),
                help=f"name one of: {', '.join(sorted(known))}",
            )
    return Pipfile(file, shown, regular.read_text(file), data, groups)


def _other_python(pipfile: Pipfile, platform: Platform) -> list[str]:
    """Pipenv warns too, and goes on."""
    wanted = str(pipfile.data.get("requires", {}).get("python_version", platform.python))
    return [] if wanted == platform.python else [f"{pipfile.shown} is for Python {wanted}, not {platform.python}"]


def read_lock(job: Job, pipfile: Pipfile, file: str, platform: Platform) -> pins.Locked:
    """Return what a Pipfile.lock has for a platform in the chosen groups.

    Raises BadManifest (LB402) for one that cannot be read or was made for another Pipfile.
    """
    shown = os.path.relpath(file, job.target.project)
    text = regular.read_text(file)
    lock = _json(text, shown)
    _check_fresh(job, pipfile, lock)
    known = {source.name: source for source in map(_index, lock["_meta"].get("sources", [PYPI]))}
    pins_by_name: dict[str, pins.Pin] = {}
    direct: dict[str, locks.Choice] = {}
    for group in pipfile.groups:
        for name, entry in lock.get(group, {}).items():
            where = Span(shown, _line(text, name))
            asked = pipfile.section(group).get(normalised(name), {})
            # For a package that was of no use where the lock was made, Pipenv records neither version nor marker.
            if not all(holds(_marker(table, platform), platform) for table in (entry, asked)):
                continue
            if {"path", "file", "git"} & entry.keys():
                direct[name] = _direct(job, pipfile, normalised(name), entry, where)
            else:
                pins_by_name[name] = replace(
                    _pin(job, normalised(name), entry, where), index=known.get(entry.get("index", ""))
                )
    return pins.Locked(file, tuple(pins_by_name.values()), tuple(direct.values()), tuple(known.values()), AGAIN)


def _json(text: str, shown: str) -> dict[str, Any]:
    try:
        return dict(regular.json(text))
    except json.JSONDecodeError as error:
        where = Span(shown, error.lineno, error.colno)
        help = f"make it again with: {AGAIN}"
        raise BadManifest(f"{shown} is not JSON: {error.msg}", where=where, help=help) from error


def _check_fresh(job: Job, pipfile: Pipfile, lock: Mapping[str, Any]) -> None:
    """As ``pipenv install --deploy`` does."""
    recorded = lock["_meta"].get("hash", {}).get("sha256", "")
    if recorded not in pipfile_hashes(pipfile.data):
        raise BadManifest(
            f"{job.who}: Pipfile.lock was made for another {pipfile.shown}",
            where=Span(pipfile.shown),
            help=f"bring it up to date with: {AGAIN}",
        )


def pipfile_hashes(data: Mapping[str, Any]) -> set[str]:
    """Every hash that a Pipenv gives a Pipfile: names as they are or normalised, sections of its own or none."""
    own = {name: section for name, section in data.items() if name not in NO_PACKAGES | IN_PIPFILE.keys()}
    digests = set()
    for named in (normalised, str):
        for more in (own, {}):
            sections = {"default": data.get("packages", {}), "develop": data.get("dev-packages", {}), **more}
            about = {"sources": data.get("source", [PYPI]), "requires": data.get("requires", {})}
            content = {
                group: {named(name): entry for name, entry in table.items()} for group, table in sections.items()
            }
            text = json.dumps({"_meta": about, **content}, sort_keys=True, separators=(",", ":"), default=str)
            digests.add(hashlib.sha256(text.encode()).hexdigest())
    return digests


def _marker(table: Mapping[str, Any], platform: Platform) -> str:
    """``markers``, and those of a Pipfile that are keys of their own: ``sys_platform = "== 'win32'"``."""
    markers = [table["markers"]] if table.get("markers") else []
    markers += [f"{key} {table[key]}" for key in platform.environment() if key in table]
    return " and ".join(f"({marker})" for marker in markers)


def _pin(job: Job, name: str, entry: Mapping[str, Any], where: Span) -> pins.Pin:
    version = str(entry.get("version", ""))
    if not version.startswith("=="):
        raise BadManifest(
            f"{job.who}: Pipfile.lock has no version of {name}, but {version or 'none'!r}",
            where=where,
            help=f"make the lock on a system where {name} is of use, or leave the package out",
        )
    return pins.Pin(name, version.lstrip("= "), tuple(entry.get("hashes", ())), where)


def _direct(job: Job, pipfile: Pipfile, name: str, entry: Mapping[str, Any], where: Span) -> locks.Choice:
    below, sha256 = entry.get("subdirectory", ""), pins.sha256_among(entry.get("hashes", ()))
    if "git" in entry:
        return locks.Source(name, "", git=expanded(entry["git"]), commit=entry["ref"], subdirectory=below)
    version, given = str(entry.get("version", "")).lstrip("= "), entry.get("path") or entry["file"]
    if "://" in given and not given.startswith("file:"):
        return pins.at_address(name, version, expanded(given), sha256, below)
    path = os.path.join(pipfile.folder, locks.path_of(given) if given.startswith("file:") else given)
    return pins.file_or_folder(job, name, version, os.path.normpath(path), sha256, where, below)


def _requirement(pipfile: Pipfile, name: str, table: Mapping[str, Any]) -> str:
    """Return the requirement in PEP 508's form, without the marker, which was evaluated before."""
    named = name + (f"[{','.join(sorted(table['extras']))}]" if table.get("extras") else "")
    below = f"#subdirectory={table['subdirectory']}" if table.get("subdirectory") else ""
    if "git" in table:
        return f"{named} @ git+{table['git']}{'@' + table['ref'] if table.get('ref') else ''}{below}"
    given = str(table.get("path") or table.get("file") or "")
    if "://" in given:
        return f"{named} @ {given}{below}"
    if given:
        return f"{named} @ {Path(os.path.normpath(os.path.join(pipfile.folder, given))).as_uri()}{below}"
    version = str(table.get("version", "*")).strip()
    return named + ("" if version == "*" else version if version[:1] in "<>=!~" else f"=={version}")


def _index(source: Mapping[str, Any]) -> Index:
    """Addresses may hold variables: ``https://$USER:${PASSWORD}@host/simple``.

    As for Pipenv, a user and password that stand in variables are not percent-encoded.
    """
    parts = urlsplit(str(source["url"]))
    written, _, host = parts.netloc.rpartition("@")
    user, _, password = expanded(written).partition(":")
    if expanded(written) == written:
        user, password = unquote(user), unquote(password)
    return index_of(str(source.get("name", "")), expanded(parts._replace(netloc=host).geturl()), user, password)


def expanded(text: str) -> str:
    """A text with the variables of the environment filled in, as Pipenv does."""
    return VARIABLE.sub(lambda match: os.environ.get(match[1] or match[2], match[0]), text)


def _line(text: str, name: str) -> int:
    match = re.search(rf"(?m)^\s*\"{re.escape(name)}\":", text)
    return text.count("\n", 0, match.end()) + 1 if match else 1
