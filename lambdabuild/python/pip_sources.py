"""Refuse what pip cannot be told: packages that a pyproject.toml takes from a folder, git or another index.

uv reads ``[tool.uv.sources]``, and is told what ``[tool.poetry]`` says. pip would take such a name from whatever index
it asks, where anybody may have published one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest
from lambdabuild.python.indexes import DEFAULT, Indexes
from lambdabuild.python.named_indexes import Origins, index_of
from lambdabuild.python.requirements import NAME, Requirements, normalised
from lambdabuild.rule_api import Job


def refuse(job: Job, projects: Iterable[str], told: Origins, listed: Requirements, where: Indexes) -> None:
    """Raise LB402 if a local project among ``projects`` says where a package is from, or something its build needs."""
    abouts = {folder: _read(os.path.join(folder, "pyproject.toml")) for folder in projects}
    listed_paths = {path for _, path in listed.local_lines()}
    names = {str(abouts[folder].get("project", {}).get("name", "")) for folder in listed_paths & abouts.keys()}
    known = {normalised(name) for name in (*names, *told.direct)}
    known |= {line.name for line in listed.lines if "@" in line.text}
    for folder, about in abouts.items():
        refuse_sources(job, os.path.join(folder, "pyproject.toml"), about, known)
    only = _only_index(listed, where)
    for name, index in told.named.items():
        if not index.is_pypi and index_of("", only).url != index.url:
            raise BadManifest(
                f"{job.who}: {name} is to come from the index {index.name!r}, which pip cannot be told for one package",
                where=job.place(job.target.manifest),
                help="leave the setting resolver out",
            )


def refuse_sources(job: Job, file: str, about: Mapping[str, Any], known: Iterable[str] = ()) -> None:
    """Raise LB402 if [tool.uv.sources] says where something is from that a project or its build needs."""
    told = {normalised(name) for name in about.get("tool", {}).get("uv", {}).get("sources", {})} - set(known)
    named = sorted(text for text in _wanted(about) if (name := NAME.match(text)) and normalised(name[0]) in told)
    if named:
        raise BadManifest(
            f"{job.who}: pip does not read [tool.uv.sources], which says where {', '.join(named)} comes from",
            where=job.place(file),
            help="leave the setting resolver out, or write in place of the name: NAME @ ADDRESS",
        )


def _wanted(about: Mapping[str, Any]) -> Iterator[str]:
    for table, key in (("build-system", "requires"), ("project", "dependencies")):
        yield from (str(text).strip() for text in about.get(table, {}).get(key, ()))


def _read(file: str) -> Mapping[str, Any]:
    """Return a pyproject.toml; {} when it is missing or broken (pip reports that)."""
    try:
        return regular.toml(regular.read_text(file))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _only_index(listed: Requirements, where: Indexes) -> str:
    """Return the one index that pip asks, "" when there are several, or it is PyPI."""
    texts = [line.text for line in listed.lines]
    if where.environment.get("PIP_EXTRA_INDEX_URL") or any("--extra-index-url" in text for text in texts):
        return ""
    chosen = [match[1] for text in texts if (match := DEFAULT.match(text))]
    return chosen[-1] if chosen else where.environment.get("PIP_INDEX_URL", "")
