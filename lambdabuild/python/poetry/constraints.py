"""Version constraints as Poetry writes them (``^1.2``, ``1.*``, ``>=1,<2 || >3``), read by Poetry's own library.

poetry-core is imported when a constraint is read: compile steps run on other machines, which have no packages of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdabuild.core.errors import BadManifest
from lambdabuild.core.spans import Span

if TYPE_CHECKING:
    from poetry.core.constraints.version import Version, VersionConstraint
    from poetry.core.constraints.version.version_range_constraint import VersionRangeConstraint

    from lambdabuild.python.targets import Platform

PATCH = 99
"""Stands for the last patch release of a Python, which Lambda runs and whose number is not known here."""
NO_PATCH = 2
"""The numbers of a version without a patch release."""


def specifier(constraint: str, where: Span | None = None) -> str | None:
    """Return the constraint as PEP 440 writes it, "" for any version; None if PEP 440 cannot say it.

    Raises BadManifest (LB402), as all functions here do.

    >>> specifier("^1.2")
    '>=1.2,<2.0'
    """
    parsed = _parsed(constraint, where)
    text = str(parsed)
    if parsed.is_any():
        return ""
    if "||" in text:
        return None
    return f"=={text}" if text[0].isdigit() else text


def allows(constraint: str, version: str) -> bool:
    """Return whether a version satisfies a constraint; pre-releases do too, because they were locked."""
    from poetry.core.constraints.version import Version

    return _parsed(constraint, None).allows(Version.parse(version))


def fits_python(constraint: str, platform: Platform, where: Span | None = None) -> bool:
    """Return whether a platform's Python satisfies a constraint. ``3.11`` means the whole series, as in ``<=3.11``."""
    return any(_is_inside(part, platform.python) for part in _parsed(constraint, where).flatten())


def _is_inside(part: VersionRangeConstraint, python: str) -> bool:
    if part.min is not None:
        version = _comparable(python, part.min)
        if version < part.min or (version == part.min and not part.include_min):
            return False
    if part.max is not None:
        version = _comparable(python, part.max)
        return version < part.max or (version == part.max and part.include_max)
    return True


def _comparable(python: str, bound: Version) -> Version:
    """Return a Python as precise as a bound: the series, or its last patch release."""
    from poetry.core.constraints.version import Version

    return Version.parse(python if bound.precision <= NO_PATCH else f"{python}.{PATCH}")


def _parsed(constraint: str, where: Span | None) -> VersionConstraint:
    from poetry.core.constraints.version import parse_constraint

    try:
        return parse_constraint(constraint or "*")
    except ValueError as error:
        raise BadManifest(
            f"{constraint!r} is not a version constraint", where=where, help="write it as in ^1.2 or >=1.2,<2"
        ) from error
