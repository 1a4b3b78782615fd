"""What one part of a service adds to the template: a value to be joined with others, never a shared thing to change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lambdabuild.errors import LambdaBuildError, NameClash, raise_all
from lambdabuild.spans import Span

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Fragment:
    """Resources and outputs by logical id, and what the shared role must allow for them.

    ``services`` may assume the shared role too; ``where`` is what the fragment was made from.
    """

    resources: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    statements: tuple[Json, ...] = ()
    services: tuple[str, ...] = ()
    where: Span | None = None


def joined(fragments: Iterable[Fragment]) -> Fragment:
    """All of them as one. Two that define one id differently are told (LB705), for CloudFormation knows one only."""
    resources: dict[str, Json] = {}
    outputs: dict[str, Json] = {}
    places: dict[str, Span | None] = {}
    statements: list[Json] = []
    services: list[str] = []
    errors: list[LambdaBuildError] = []
    for fragment in fragments:
        for logical_id, resource in fragment.resources.items():
            if logical_id in resources and resources[logical_id] != resource:
                errors.append(_clash(logical_id, places[logical_id], fragment.where))
            resources.setdefault(logical_id, resource)
            places.setdefault(logical_id, fragment.where)
        outputs.update(fragment.outputs)
        statements += [one for one in fragment.statements if one not in statements]
        services += [one for one in fragment.services if one not in services]
    raise_all(errors)
    return Fragment(resources, outputs, tuple(statements), tuple(services))


def _clash(logical_id: str, one: Span | None, other: Span | None) -> NameClash:
    return NameClash(
        f"two things would both be the resource {logical_id}",
        where=tuple(span for span in (one, other) if span is not None),
        mend="rename one of them; - and _ are written out, and the first letter is raised, to make a logical id",
    )


def without_nothing(resource: Json) -> Json:
    """A resource without the keys that hold None."""
    return {key: value for key, value in resource.items() if value is not None}
