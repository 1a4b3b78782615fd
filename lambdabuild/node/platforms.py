"""Packages of other machines, told by ``os``, ``cpu`` and ``libc`` in package.json, are taken out of a folder again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core import regular
from lambdabuild.node.place import CPUS
from lambdabuild.rule_api import CannotResolve, Job


def keep_ours(job: Job, folder: str) -> None:
    """Remove from the packages that a package's folder leads to those of other machines, and what only they need.

    What nobody names stays: a package may use it all the same. Raises CannotResolve (LB403) when one is not optional.
    """
    every = set(_reached(job, folder, set(), ours_only=False))
    for path in sorted(every - set(_reached(job, folder, set(), ours_only=True))):
        shutil.rmtree(path, ignore_errors=True)


def _reached(job: Job, folder: str, seen: set[str], *, ours_only: bool) -> Iterator[str]:
    about = about_of(folder)
    optional = about.get("optionalDependencies", {})
    needed = {**about.get("dependencies", {}), **about.get("peerDependencies", {})}
    for name in sorted({*needed, *optional, *_bundled(about)}):
        path = found(folder, name)
        if path is None or path in seen:
            continue
        if ours_only and not _fits(job, about_of(path)):
            if name in optional or name not in needed:
                continue
            raise CannotResolve(
                f"{job.who}: {_name(folder)} needs {name}, not made for {job.target.architecture} Linux with glibc",
                where=job.place(job.target.manifest),
                help="make it an optional dependency, or build for another architecture",
            )
        seen.add(path)
        yield path
        yield from _reached(job, path, seen, ours_only=ours_only)


def about_of(folder: str) -> Mapping[str, Any]:
    try:
        data = regular.json(regular.read_text(os.path.join(folder, "package.json"), "utf-8-sig", "replace"))
    except (OSError, json.JSONDecodeError):
        return {}
    return data if isinstance(data, dict) else {}


def _name(folder: str) -> str:
    return str(about_of(folder).get("name", os.path.basename(folder)))


def _bundled(about: Mapping[str, Any]) -> list[str]:
    named = about.get("bundledDependencies", about.get("bundleDependencies", []))
    return named if isinstance(named, list) else []


def found(folder: str, name: str) -> str | None:
    """Return the folder where Node.js finds a package that a folder's code asks for."""
    while True:
        path = os.path.join(folder, "node_modules", name)
        if os.path.isdir(path):
            return os.path.realpath(path)
        if os.path.dirname(folder) == folder:
            return None
        folder = os.path.dirname(folder)


def _fits(job: Job, about: Mapping[str, Any]) -> bool:
    """The meaning of the fields: https://docs.npmjs.com/cli/v11/configuring-npm/package-json#os."""
    ours = {"os": "linux", "cpu": CPUS[job.target.architecture], "libc": "glibc"}
    return all(_allows(about.get(field), value) for field, value in ours.items())


def _allows(declared: Any, value: str) -> bool:
    names = [declared] if isinstance(declared, str) else [str(name) for name in declared or ()]
    wanted = [name for name in names if not name.startswith("!")]
    return f"!{value}" not in names and (not wanted or value in wanted or "any" in wanted)
