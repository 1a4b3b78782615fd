"""Version constraints as Poetry writes them: ``^1.2``, ``~1.2``, ``1.*``, ``>=1,<2 || >3``.

Source: https://python-poetry.org/docs/dependency-specification/#version-constraints
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lambdabuild.core.errors import BadManifest
from lambdabuild.core.spans import Span

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from lambdabuild.python.targets import Platform

CLAUSE = re.compile(r"(\^|~=|~|===?|!=|<=|>=|<|>|)\s*v?([0-9*][0-9A-Za-z!.+*_-]*)")
PATCH = 99
"""Lambda runs the last patch release of a Python, whose number is not known here."""


def specifier(constraint: str, where: Span | None = None) -> str | None:
    """Return the same for PEP 440, "" for any version; None when that has no word for it.

    Raises BadManifest (LB402), as all here do.

    >>> specifier("^1.2")
    '>=1.2,<2'
    """
    alternatives = _alternatives(constraint, where)
    return alternatives[0] if len(alternatives) == 1 else None


def allows(constraint: str, version: str) -> bool:
    """Whether a version satisfies a constraint; pre-releases do too, for they were locked."""
    return any(_set(one).contains(version, prereleases=True) for one in _alternatives(constraint))


def fits_python(constraint: str, platform: Platform, where: Span | None = None) -> bool:
    """Whether a platform's Python satisfies a constraint. ``3.11`` means the whole series, as in ``<=3.11``."""
    from packaging.version import Version

    def fits(one: str) -> bool:
        for clause in _set(one):
            wanted = clause.version.removesuffix(".*")
            exact = len(Version(wanted).release) > 2
            if not clause.contains(f"{platform.python}.{PATCH}" if exact else platform.python, prereleases=True):
                return False
        return True

    return any(map(fits, _alternatives(constraint, where)))


def _alternatives(constraint: str, where: Span | None = None) -> list[str]:
    try:
        return [_plain(part.strip()) for part in re.split(r"\|\|?", constraint)]
    except ValueError as error:
        raise BadManifest(
            f"{constraint!r} is no version constraint", where=where, help="write it as in ^1.2 or >=1.2,<2"
        ) from error


def _plain(text: str) -> str:
    """One alternative as PEP 440 writes it. Raises ValueError (which InvalidSpecifier is)."""
    if re.sub(r"[\s,*]", "", CLAUSE.sub("", text)):
        raise ValueError(text)
    plain = ",".join(filter(None, (_clause(match[1], match[2]) for match in CLAUSE.finditer(text))))
    _set(plain)
    return plain


def _clause(operator: str, version: str) -> str:
    if version == "*":
        return ""
    if operator in ("^", "~"):
        return f">={version},<{_next(operator, version)}"
    return f"{operator or '=='}{version}"


def _next(operator: str, version: str) -> str:
    """Return the first version that a caret or a tilde shuts out."""
    numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]
    if not numbers:
        raise ValueError(version)
    at = min(1, len(numbers) - 1)
    if operator == "^":
        at = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(str(number) for number in [*numbers[:at], numbers[at] + 1])


def _set(text: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(text)
