"""Versions that are published: where each is stored, and which may be replaced.

``prefix/source/VERSION/source.zip`` is the layout of aws_lambda_artifact_builder's buckets, so that one can go on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lambdabuild.core.errors import BadVersion
from lambdabuild.core.spans import Span

if TYPE_CHECKING:
    from packaging.version import Version

SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""https://semver.org, but for the rule on leading zeros of pre-releases."""
NONE_GIVEN = "0.0.0"
"""The version that setuptools gives a project that names none."""


def source_key(prefix: str, version: str) -> str:
    """Return the key of a version of a source."""
    return f"{prefix.strip('/')}/source/{version}/source.zip".lstrip("/")


def check(version: str, who: str, where: Span | None = None) -> str:
    """Return a version that may be published. Raises BadVersion (LB607) for any other."""
    if version != NONE_GIVEN and (SEMANTIC.fullmatch(version) or _parsed(version)):
        return version
    described = "no version (its backend calls it 0.0.0)" if version == NONE_GIVEN else f"the version {version!r}"
    raise BadVersion(
        f"{who} has {described}",
        where=where,
        help="give it one such as 0.1.1, or 0.1.2.dev1 while it is being worked on: version in its [project]",
    )


def is_development(version: str) -> bool:
    """Return whether it is a development or local version (PEP 440): ``0.1.2.dev1``, ``0.1.1+mine``."""
    parsed = _parsed(version)
    return parsed is not None and (parsed.is_devrelease or parsed.local is not None)


def _parsed(version: str) -> Version | None:
    """None when it is no version of PEP 440."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version)
    except InvalidVersion:
        return None
