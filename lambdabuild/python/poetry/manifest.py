"""A pyproject.toml of Poetry: which packages it asks for on one platform, and in which words.

The formats: https://python-poetry.org/docs/pyproject/ and https://python-poetry.org/docs/dependency-specification/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest, CannotResolve
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.python import project
from lambdabuild.python.poetry import constraints
from lambdabuild.python.requirements import normalised
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Job

MAIN = "main"
PAGE = "write it as https://python-poetry.org/docs/pyproject/ says"
TABLES = ("dependencies", "dev-dependencies", "extras", "group")
EXTRA_IS = re.compile(r"""\bextra\s*==\s*(["'][^"']*["'])""")
EXTRA_IS_NOT = re.compile(r"""\bextra\s*!=\s*(["'][^"']*["'])""")
PLATFORM_IS = "sys_platform == '{}'"


class Dependency(Struct, frozen=True):
    """One way in which a package is asked for: in [tool.poetry.dependencies] and in a lock alike."""

    name: str
    constraint: str
    extras: frozenset[str]
    marker: str
    python: str
    optional: bool
    table: Mapping[str, Any]

    def applies(self, platform: Platform, extras: frozenset[str], where: Span | None = None) -> bool:
        """Return whether it applies to the platform, for a package that is wanted with ``extras``."""
        fits = constraints.fits_python(self.python, platform, where)
        return fits and holds(self.marker, platform, extras, where)


class Manifest(Struct, frozen=True):
    """A pyproject.toml of Poetry, and what of it is wanted."""

    file: str
    shown: str
    text: str
    data: Mapping[str, Any]
    groups: frozenset[str]
    extras: frozenset[str]

    @property
    def folder(self) -> str:
        return os.path.dirname(self.file)

    @property
    def poetry(self) -> Mapping[str, Any]:
        table: Mapping[str, Any] = self.data.get("tool", {}).get("poetry", {})
        return table

    def tables(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(group, dependencies) as [tool.poetry] has them."""
        yield MAIN, self.poetry.get("dependencies", {})
        yield "dev", self.poetry.get("dev-dependencies", {})
        for name, group in self.poetry.get("group", {}).items():
            yield normalised(name), group.get("dependencies", {})

    def wanted(self, platform: Platform) -> list[Dependency]:
        """Yield what [tool.poetry] asks for in the chosen groups, with the chosen extras, on a platform."""
        listed = {normalised(name): names for name, names in self.poetry.get("extras", {}).items()}
        chosen = {name_of(text) for extra in self.extras for text in listed.get(extra, ())}
        return [
            dependency
            for group, table in self.tables()
            if group in self.groups
            for dependency in dependencies(table)
            if (not dependency.optional or dependency.name in chosen)
            and dependency.applies(platform, self.extras, self.where(dependency.name))
        ]

    def where(self, name: str) -> Span:
        """Return the line that names a package."""
        return Span(self.shown, line_of(self.text, rf"(?im)^\s*[\"']?{_any_spelling(name)}[\"']?\s*="))


def has_own_dependencies(data: Mapping[str, Any]) -> bool:
    """Return whether a pyproject.toml lists packages in [tool.poetry], where tools for [project] do not look."""
    about = data.get("tool", {}).get("poetry", {})
    listed = about.get("dependencies", {}) if isinstance(about, dict) else {}
    return "dependencies" not in data.get("project", {}) and any(name != "python" for name in listed)


def read(job: Job, file: str, *, chosen: bool = True) -> Manifest:
    """A manifest with the groups and extras that are ``chosen``, or those of a dependency, which has only its main.

    Raises BadManifest (LB402) for what cannot be read.
    """
    shown = os.path.relpath(file, job.target.project)
    if not os.path.isfile(file):
        raise BadManifest(
            f"{job.who}: there is a poetry.lock but no pyproject.toml",
            where=Span(shown),
            help="put both into one folder",
        )
    data = project._toml(file, shown)
    _check_shape(job, data, shown)
    groups = frozenset(map(normalised, project._names(job, "groups") if chosen else ())) or frozenset({MAIN})
    extras = frozenset(map(normalised, project._names(job, "extras") if chosen else ()))
    return Manifest(file, shown, regular.read_text(file), data, groups, extras)


def _check_shape(job: Job, data: Mapping[str, Any], shown: str) -> None:
    about = data.get("tool", {}).get("poetry", {})
    tables = {"": about} | ({name: about.get(name, {}) for name in TABLES} if isinstance(about, dict) else {})
    groups = tables.get("group", {})
    if isinstance(groups, dict):
        tables |= {f"group.{name}": group for name, group in groups.items()}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BadManifest(
                f"{job.who}: {'.'.join(filter(None, ('tool.poetry', name)))} in {shown} is no table, but {table!r}",
                where=Span(shown),
                help=PAGE,
            )


def check_names(job: Job, manifest: Manifest) -> None:
    """Groups and extras that are asked for must be there."""
    named = (*manifest.poetry.get("group", {}), *manifest.data.get("dependency-groups", {}))
    groups = {MAIN, *map(normalised, named), *(["dev"] if "dev-dependencies" in manifest.poetry else [])}
    extras = {normalised(name) for name in manifest.poetry.get("extras", {})}
    extras |= {normalised(name) for name in manifest.data.get("project", {}).get("optional-dependencies", {})}
    for what, asked, known in (("group", manifest.groups, groups), ("extra", manifest.extras, extras)):
        if asked - known:
            raise BadManifest(
                f"{job.who} asks for the {what} {', '.join(sorted(asked - known))}, which {manifest.shown} has not",
                where=Span(manifest.shown),
                help=f"name one of: {', '.join(sorted(known)) or 'none is there'}",
            )


def check_python(job: Job, manifest: Manifest, platform: Platform) -> None:
    wanted = manifest.data.get("project", {}).get("requires-python", "")
    wanted = wanted or manifest.poetry.get("dependencies", {}).get("python", "")
    where = manifest.where("python")
    if not constraints.fits_python(str(wanted), platform, where):
        raise CannotResolve(
            f"{job.who} runs on Python {platform.python}, but {manifest.shown} is for {wanted!r}",
            where=where,
            help="change Runtime, or the Python that the manifest asks for",
        )


def dependencies(table: Mapping[str, Any]) -> Iterator[Dependency]:
    """Every way in which a table of dependencies asks for packages; the Python itself is left out."""
    for name, given in table.items():
        for alternative in given if isinstance(given, list) else [given]:
            if normalised(name) != "python":
                yield _dependency(name, alternative if isinstance(alternative, dict) else {"version": str(alternative)})


def _dependency(name: str, table: Mapping[str, Any]) -> Dependency:
    system = f"({PLATFORM_IS.format(table['platform'])})" if table.get("platform") else ""
    marker = f"({table['markers']})" if table.get("markers") else ""
    return Dependency(
        normalised(name),
        str(table.get("version", "*")),
        frozenset(map(normalised, table.get("extras", ()))),
        " and ".join(filter(None, (marker, system))),
        str(table.get("python", "")),
        bool(table.get("optional")),
        table,
    )


def holds(marker: str, platform: Platform, extras: frozenset[str] = frozenset(), where: Span | None = None) -> bool:
    """Return whether a marker is true on a platform for a package that is wanted with ``extras``.

    Poetry holds ``extra == "a"`` against all extras at once; PEP 751 writes that ``"a" in extras``.
    """
    from packaging.markers import InvalidMarker, Marker

    if not marker or marker == "*":
        return True
    text = EXTRA_IS_NOT.sub(r"\1 not in extras", EXTRA_IS.sub(r"\1 in extras", marker))
    try:
        return Marker(text).evaluate({**platform.environment(), "extras": extras}, context="lock_file")
    except InvalidMarker as error:
        raise BadManifest(
            f"{marker!r} is not an environment marker: {error}", where=where, help="correct it (PEP 508)"
        ) from error


def name_of(text: str) -> str:
    """Return the package of a requirement such as ``PySocks (>=1.5.6)``."""
    return normalised(re.split(r"[\s\[(;<>=!~@]", text.strip(), maxsplit=1)[0])


def _any_spelling(name: str) -> str:
    return re.sub(r"\\?[-_.]+", "[-_.]+", re.escape(name))


def line_of(text: str, pattern: str) -> int:
    """Return the line on which a pattern is found first; 1 when it is not."""
    match = re.search(pattern, text)
    return text.count("\n", 0, match.start() + len(match[0]) - len(match[0].lstrip())) + 1 if match else 1
