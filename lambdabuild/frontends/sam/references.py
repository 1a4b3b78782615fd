"""Which resource refers to which, and the circles in that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lambdabuild.core.errors import CircularReference, LambdaBuildError
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.intrinsics import PLACEHOLDER, Scope, resolve

Edges = Mapping[str, Mapping[str, Span]]
"""For each resource, those it refers to and where."""

MOST_CIRCLES = 50
"""So many are told at once."""
SAM_OWN_PROPERTIES = frozenset(
    {"Environment", "Role", "Layers", "VpcConfig", "KmsKeyArn", "FunctionName", "DeadLetterQueue"}
)
"""Properties that SAM gives to the resource itself; the rest (Events, Policies...) become other resources, which may
well refer back."""


def circles(root: Node, names: Scope) -> list[LambdaBuildError]:
    """Yield an error (LB105) for each circle that CloudFormation would refuse."""
    resources = root.get("Resources")
    if resources is None or not isinstance(resources.value, dict):
        return []
    edges = {
        name: {target: where for target, where in _references(node, names) if target in resources.value}
        for name, node in resources.value.items()
        if is_deployed(node, names)
    }
    return [
        CircularReference(
            f"the resources {' -> '.join([*ring, ring[0]])} refer to one another in a circle",
            where=[edges[name][after] for name, after in zip(ring, [*ring[1:], ring[0]], strict=True)],
            help="remove one of the references",
        )
        for ring in _rings(edges)
    ]


def is_deployed(resource: Node, names: Scope) -> bool:
    """Return whether a resource may be in the stack: its condition is not known to be false."""
    condition = resource.get("Condition")
    name = resolve(condition, names) if condition is not None else None
    if condition is None or not isinstance(name, str):
        return True
    return names.condition(name, condition.span) is not False


def _references(resource: Node, names: Scope) -> Iterator[tuple[str, Span]]:
    depends = resource.get("DependsOn")
    if depends is not None:
        for item in depends.value if isinstance(depends.value, list) else [depends]:
            yield str(item.value), item.span
    kind, properties = resource.get("Type"), resource.get("Properties")
    if properties is None or not isinstance(properties.value, dict):
        return
    is_sam = kind is not None and str(kind.value).startswith("AWS::Serverless::")
    for name, node in properties.value.items():
        if not is_sam or name in SAM_OWN_PROPERTIES:
            yield from _inside(node, names)


def _inside(node: Node, names: Scope) -> Iterator[tuple[str, Span]]:
    value = node.value
    if isinstance(value, list):
        for item in value:
            yield from _inside(item, names)
    elif isinstance(value, dict):
        only = next(iter(value)) if len(value) == 1 else ""
        named = _named_by(only, value[only], names) if only else None
        if named is not None:
            yield from ((name, node.span) for name in named)
        for item in _followed(only, value, names):
            yield from _inside(item, names)


def _named_by(function: str, argument: Node, names: Scope) -> Iterable[str] | None:
    if function == "Ref":
        return [str(argument.value)]
    if function == "Fn::GetAtt":
        first = argument.value[0].value if isinstance(argument.value, list) and argument.value else argument.value
        return [str(first).partition(".")[0]]
    if function == "Fn::Sub":
        text = argument.value[0] if isinstance(argument.value, list) and argument.value else argument
        return [match[2].strip().partition(".")[0] for match in PLACEHOLDER.finditer(str(text.value)) if not match[1]]
    return None


def _followed(function: str, value: dict[str, Node], names: Scope) -> Iterable[Node]:
    """Return the parts to look into: of an Fn::If only the branch that is known to be taken."""
    argument = value.get(function)
    if function == "Fn::If" and argument is not None and isinstance(argument.value, list) and len(argument.value) == 3:
        name, when, otherwise = argument.value
        decided = names.condition(str(name.value), name.span)
        return [when] if decided is True else [otherwise] if decided is False else []
    return value.values()


def _rings(edges: Edges) -> list[list[str]]:
    """Yield each circle once, beginning with its first name in the alphabet; only the first few if there are many."""
    done: set[str] = set()
    rings: dict[frozenset[str], list[str]] = {}
    for start in edges:
        waiting = {start: iter(edges[start])} if start not in done else {}
        while waiting and len(rings) < MOST_CIRCLES:
            name = next(reversed(waiting))
            target = next(waiting[name], None)
            if target is None:
                done.add(name)
                del waiting[name]
            elif target in waiting:
                path = list(waiting)
                ring = path[path.index(target) :]
                first = ring.index(min(ring))
                rings.setdefault(frozenset(ring), ring[first:] + ring[:first])
            elif target not in done and target in edges:
                waiting[target] = iter(edges[target])
    return list(rings.values())
