"""The part of a template that one part of a service adds: a value to join with others, never changed in place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from lambdabuild.core.errors import LambdaBuildError, NameClash, raise_all
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span

Json: TypeAlias = dict[str, Any]


class Need(Struct, frozen=True):
    """A statement that a role must have; ``owner`` is the function with a role of its own, "" for the shared role.

    One that is needed ``once`` is not repeated for every function, which deployed stacks do with the others.
    """

    owner: str
    statement: Json
    once: bool = False


class Helper(Struct, frozen=True):
    """A function of our own that is needed at deployment, and what it must be allowed."""

    kind: str
    statements: tuple[Json, ...]


class Fragment(Struct, frozen=True):
    """Resources and outputs by logical id, and what roles must allow for them.

    ``services`` may assume the role of an owner too; ``where`` is what the fragment was made from.
    """

    resources: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    services: tuple[tuple[str, str], ...] = ()
    where: Span | None = None
    helpers: tuple[Helper, ...] = ()

    def of(self, owner: str) -> tuple[Need, ...]:
        return tuple(need for need in self.needs if need.owner == owner)

    def services_of(self, owner: str) -> tuple[str, ...]:
        return tuple(service for who, service in self.services if who == owner)


def joined(fragments: Iterable[Fragment]) -> Fragment:
    """Join fragments. Raise LB705 if two define one id differently, because CloudFormation knows one only."""
    resources: dict[str, Json] = {}
    outputs: dict[str, Json] = {}
    places: dict[str, Span | None] = {}
    needs: list[Need] = []
    services: list[tuple[str, str]] = []
    helpers: list[Helper] = []
    errors: list[LambdaBuildError] = []
    for fragment in fragments:
        for logical_id, resource in fragment.resources.items():
            if logical_id in resources and resources[logical_id] != resource:
                errors.append(_clash(logical_id, places[logical_id], fragment.where))
            resources.setdefault(logical_id, resource)
            places.setdefault(logical_id, fragment.where)
        outputs.update(fragment.outputs)
        needs += fragment.needs
        helpers += fragment.helpers
        services += [service for service in fragment.services if service not in services]
    raise_all(errors)
    return Fragment(resources, outputs, tuple(needs), tuple(services), helpers=tuple(helpers))


def _clash(logical_id: str, place: Span | None, other: Span | None) -> NameClash:
    return NameClash(
        f"two things would both be the resource {logical_id}",
        where=tuple(span for span in (place, other) if span is not None),
        help="rename one of them; - and _ are written out, and the first letter is raised, to make a logical id",
    )


def without_nothing(resource: Json) -> Json:
    """Return a resource without the keys that hold None."""
    return {key: value for key, value in resource.items() if value is not None}


def allow(actions: object, resources: object) -> Json:
    """Return a statement of a role's policy."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def arn_here(service: str, *rest: Any) -> Json:
    """Return an ARN in the stack's own region and account; ``rest`` are its last parts."""
    place = [{"Ref": "AWS::Partition"}, service, {"Ref": "AWS::Region"}, {"Ref": "AWS::AccountId"}]
    return {"Fn::Join": [":", ["arn", *place, *rest]]}


def compact(value: object) -> str:
    """Return JSON text as JavaScript writes it: keys in the given order, no spaces."""
    return json.dumps(plain_numbers(value), separators=(",", ":"), ensure_ascii=False)


def plain_numbers(value: object) -> Any:
    """Replace 1.0 by 1, as JavaScript writes it in JSON."""
    if isinstance(value, dict):
        return {key: plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value
