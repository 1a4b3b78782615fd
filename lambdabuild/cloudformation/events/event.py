"""One event of one function, and what all compilers of events do alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Fragment, Json, joined
from lambdabuild.core import naming
from lambdabuild.core.errors import BadEvent, LambdaBuildError, raise_all
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

T = TypeVar("T")


class Event(Struct, frozen=True):
    """``options`` is what stands under the event's name: a text or a mapping. ``number`` counts a function's events of
    this type, ``index`` all of its events; both from 1."""

    kind: str
    function: Lambda
    options: Any
    number: int
    index: int
    where: Span

    def get(self, key: str, otherwise: object = None) -> Any:
        """An option of the mapping form; null is as good as not given."""
        value = self.options.get(key) if isinstance(self.options, Mapping) else None
        return otherwise if value is None else value

    def as_written(self, key: str, otherwise: object) -> Any:
        """An option of the mapping form, None when it is null: the template leaves to AWS what is said so."""
        return self.options.get(key, otherwise) if isinstance(self.options, Mapping) else otherwise

    def part_of_arn(self, arn: object, sign: str, position: int) -> str:
        """A part of an ARN that is written out, such as the service in ``arn:aws:sqs:...``; what has none is no ARN."""
        parts = str(arn).split(sign)
        if isinstance(arn, str) and len(parts) > position:
            return parts[position]
        raise self.bad(f"{_short(arn)} is not the ARN of an event source", "write its ARN")

    def bad(self, message: str, help: str, known_as: str = "", *, beside: Event | None = None) -> BadEvent:
        """Return a mistake in it; ``beside`` is another event that it excludes."""
        return BadEvent(
            f"function {self.function.key!r}, event {self.kind}: {message}",
            where=(beside.where, self.where) if beside else self.where,
            help=help,
            known_as=known_as,
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def events_of(context: Context) -> dict[str, list[Event]]:
    """The service's events by type, in the order of the file: lists in resources follow it, as in deployed stacks."""
    by_type: dict[str, list[Event]] = defaultdict(list)
    for function in context.functions.values():
        counts: dict[str, int] = defaultdict(int)
        for index, event in enumerate(function.config.get("events") or (), 1):
            where = context.definition.at("functions", function.key, "events", str(index - 1))
            for kind, options in event.items():
                if options is None and len(event) > 1:
                    raise Event(kind, function, options, 0, index, where).bad(
                        f"it has nothing in it, and {', '.join(key for key in event if key != kind)} beside it",
                        f"indent what belongs to {kind} below it",
                    )
                counts[kind] += 1
                by_type[kind].append(Event(kind, function, options, counts[kind], index, where))
    return by_type


def each(events: Iterable[T], compile_one: Callable[[T], Fragment]) -> Fragment:
    """One fragment of all events; all mistakes are told together."""
    fragments, errors = list[Fragment](), list[LambdaBuildError]()
    for event in events:
        try:
            fragments.append(compile_one(event))
        except LambdaBuildError as error:
            errors += getattr(error, "errors", (error,))
    raise_all(errors)
    return joined(fragments)


def by_function(events: Sequence[Event]) -> dict[str, list[Event]]:
    by_key: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_key[event.function.key].append(event)
    return by_key


def state(event: Event) -> str:
    """Of a rule or a schedule."""
    return "DISABLED" if event.get("enabled") is False else "ENABLED"


def after_alias(function: Lambda, resource: Json) -> Json:
    """A resource that calls an alias is made after it."""
    return resource | ({"DependsOn": function.alias_id} if function.alias_id else {})


def permission(function: Lambda, principal: object, **more: Any) -> Json:
    """Permission to call a function. https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""
    properties = {"FunctionName": function.target, "Action": "lambda:InvokeFunction", "Principal": principal} | more
    return after_alias(function, {"Type": "AWS::Lambda::Permission", "Properties": properties})


def role_id(context: Context, function: Lambda) -> str:
    """The logical id of the role of a function, "" when the stack has none for it."""
    role = context.roles.of(function)
    if role is None:
        return naming.ROLE
    if isinstance(role, str):
        return "" if ":" in role else role
    match role:
        case {"Fn::GetAtt": [logical_id, "Arn"]}:
            return str(logical_id)
        case {"Fn::ImportValue": _} | {"Ref": _} | {"Fn::Sub": _}:
            return ""
    return naming.ROLE
