"""A package.json: read with its mistakes told, and the folders and files it names instead of versions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core import regular
from lambdabuild.rule_api import BadManifest, Job, syntax_error

KINDS = ("dependencies", "optionalDependencies", "peerDependencies", "devDependencies")
NPM_LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
"""npm reads the first of these that exists."""
SHIPPED = KINDS[:2]
SCHEMES = ("file:", "link:", "portal:")
OWN_SCRIPTS = ("preinstall", "install", "postinstall", "prepare")


def read(job: Job, file: str) -> dict[str, Any]:
    """Read a package.json. Raises BadManifest (LB402) when it or its dependencies are not a JSON object."""
    shown = os.path.relpath(file, job.target.project)
    try:
        with open(file, encoding="utf-8-sig", opener=regular.opener) as stream:
            data = regular.json(stream.read())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise syntax_error(job, file, "JSON", error, line, column) from error
    if not isinstance(data, dict):
        raise BadManifest(f"{job.who}: {shown} is not an object", where=job.place(file), help="begin it with {")
    for kind in KINDS:
        if not isinstance(data.get(kind, {}), dict):
            raise BadManifest(f"{job.who}: {kind} is no object", where=job.place(file), help='write "name": "version"')
    return data


def local(job: Job, folder: str, about: Mapping[str, Any]) -> list[str]:
    """Folders and files that dependencies name instead of a version, and those that these folders name, sorted."""
    folders: set[str] = set()
    ahead = [(folder, about)]
    while ahead:
        where, data = ahead.pop()
        fresh = set(_local(where, data)) - folders
        folders |= fresh
        inner = (os.path.join(path, "package.json") for path in sorted(fresh))
        ahead += [(os.path.dirname(file), read(job, file)) for file in inner if os.path.isfile(file)]
    return sorted(folders - {folder})


def _local(folder: str, about: Mapping[str, Any]) -> Iterator[str]:
    for kind in KINDS[:3]:
        for text in map(str, about.get(kind, {}).values()):
            scheme = next((scheme for scheme in SCHEMES if text.startswith(scheme)), "")
            if scheme or text.startswith(("./", "../", "/")):
                yield os.path.normpath(os.path.join(folder, text.removeprefix(scheme).partition("#")[0]))


def own_scripts(about: Mapping[str, Any]) -> list[str]:
    """Return the install scripts that a package has of its own, in the order in which they are run."""
    scripts = about.get("scripts", {})
    return [name for name in OWN_SCRIPTS if name in (scripts if isinstance(scripts, dict) else {})]


def without_scripts(data: dict[str, Any]) -> None:
    """Change a package.json so that no script of its own is run."""
    data.pop("scripts", None)


def scripts_not_run(job: Job, about: Mapping[str, Any], shown: str) -> list[str]:
    """A note when a package has install scripts that are not run, such as those of a workspace's root for a member."""
    named = own_scripts(about)
    return [f"{job.who}: the scripts of {shown} are not run: {', '.join(named)}"] if named else []


def listed(value: Any) -> list[str]:
    """Return an option that may be one name or several."""
    return [value] if isinstance(value, str) else [str(item) for item in value]


def omitted(options: Mapping[str, Any]) -> set[str]:
    """The kinds of dependencies that stay out: those of ``omit``, less those of ``include``, as npm reads them."""
    return set(listed(options.get("omit", "dev"))) - set(listed(options.get("include", ())))


def names_packages(about: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Return whether there is anything to install: all a project has may be a bundler, for development."""
    kinds = SHIPPED if "dev" in omitted(options) else (*SHIPPED, "devDependencies")
    return any(about.get(kind) for kind in kinds)
