"""Versions of a layer: whether a new one is needed, who may use it, which old ones may go. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lambdabuild.core.records import Struct

ARCHITECTURES = ("x86_64", "arm64")
OURS = "lambdabuild-"
"""How the ids of our statements begin in a version's policy; those of others are left alone."""


class Wanted(Struct, frozen=True):
    """A version as it should be. The order of runtimes and architectures means nothing."""

    name: str
    code_sha256: str
    description: str = ""
    license: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()


class Version(Struct, frozen=True):
    """A version as Lambda has it. What it contains has to be asked for apart."""

    number: int
    arn: str
    description: str = ""
    license: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()


class Grant(Struct, frozen=True):
    """One statement of a version's policy: for an account, or ("*") for an organization's accounts or all."""

    principal: str
    organization: str = ""

    @property
    def statement_id(self) -> str:
        return OURS + (self.organization or ("public" if self.principal == "*" else self.principal))


def newest(wanted: Wanted, versions: Iterable[Version]) -> Version | None:
    """Return the last version for any of the same architectures: a layer may have one version for each."""
    return max(
        (version for version in versions if _share(wanted, version)), key=lambda version: version.number, default=None
    )


def says_the_same(wanted: Wanted, version: Version) -> bool:
    return (
        (wanted.description, wanted.license) == (version.description, version.license)
        and set(wanted.runtimes) == set(version.runtimes)
        and set(wanted.architectures) == set(version.architectures)
    )


def earlier_twins(wanted: Wanted, own: Version, before: int, versions: Iterable[Version]) -> tuple[Version, ...]:
    """Return equal versions that somebody else made between the last one seen (``before``) and our own.

    The first of them with the same content is the one to keep: whoever published at the same time finds it as well.
    """
    between = [
        version for version in versions if before < version.number < own.number and says_the_same(wanted, version)
    ]
    return tuple(sorted(between, key=lambda version: version.number))


def surplus(versions: Collection[Version], keep: int, in_use: Collection[int]) -> tuple[Version, ...]:
    """Return the versions that may be deleted: unused, and not among the last ``keep`` (0: all) of an architecture."""
    if not keep:
        return ()
    latest = sorted(versions, key=lambda version: version.number, reverse=True)
    kept = {version.number for architecture in ARCHITECTURES for version in _for(architecture, latest)[:keep]} | set(
        in_use
    )
    return tuple(version for version in latest if version.number not in kept)


def changes(wanted: Collection[Grant], there: Collection[str]) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
    """(to add, ids to remove) so that a policy's statements are those wanted; ``there`` are the ids of those it has.

    What one of ours says is in its id, so equal ids are equal statements.
    """
    named = {grant.statement_id: grant for grant in wanted}
    add = tuple(grant for name, grant in sorted(named.items()) if name not in there)
    return add, tuple(
        sorted(statement_id for statement_id in there if statement_id.startswith(OURS) and statement_id not in named)
    )


def _share(wanted: Wanted, version: Version) -> bool:
    """A version that names no architecture is for all."""
    return not (wanted.architectures and version.architectures) or not set(wanted.architectures).isdisjoint(
        version.architectures
    )


def _for(architecture: str, versions: Iterable[Version]) -> list[Version]:
    return [version for version in versions if architecture in (version.architectures or ARCHITECTURES)]
