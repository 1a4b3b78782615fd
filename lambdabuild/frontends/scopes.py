"""The names of one template: its parameters with their values, mappings, conditions, pseudo parameters -> Scope."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lambdabuild.core.errors import BadTemplate, LambdaBuildError, UnknownName, raise_all
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.intrinsics import NO_VALUE, Scope, Unresolved, Value, nearest, text_of, to_data

SECRET_TYPES = ("AWS::SSM::", "AWS::EC2::", "AWS::Route53::", "List<AWS::")


def scope(
    file: str, root: Node, overrides: Mapping[str, Value], *, stack: str = "", stage: str = "", region: str = ""
) -> Scope:
    """Return the names of a template. ``overrides`` are parameters; ``stage`` is the value of a parameter Stage.

    Raises all mistakes of its parameters together: unknown names (LB108), values that are not allowed (LB104).
    """
    return Scope(
        file=file,
        stack=stack + "/" if stack else "",
        parameters=_parameters(root, overrides, stage, stack),
        mappings=_section(root, "Mappings"),
        conditions=_section(root, "Conditions"),
        places=node.keys if (node := root.get("Conditions")) else {},
        resources=frozenset(_section(root, "Resources")),
        pseudo=_pseudo(file, region),
    )


def with_sections(names: Scope, root: Node) -> Scope:
    """Return the names with the conditions and resources of a template whose loops are expanded."""
    conditions = root.get("Conditions")
    return replace(
        names,
        conditions=_section(root, "Conditions"),
        places=conditions.keys if conditions is not None else {},
        resources=frozenset(_section(root, "Resources")),
        cache={},
    )


def _section(root: Node, name: str) -> dict[str, Node]:
    node = root.get(name)
    return node.value if node is not None and isinstance(node.value, dict) and node.style != "tagged" else {}


def _pseudo(file: str, region: str) -> dict[str, Value]:
    china, gov = region.startswith("cn-"), region.startswith("us-gov-")
    known: dict[str, Value] = {
        "AWS::NoValue": NO_VALUE,
        "AWS::Partition": "aws-cn" if china else "aws-us-gov" if gov else "aws",
        "AWS::URLSuffix": "amazonaws.com.cn" if china else "amazonaws.com",
    }
    if region:
        known["AWS::Region"] = region
    else:
        known["AWS::Region"] = Unresolved("the region is not known", Span(file), give="set region, or AWS_REGION")
    for name in ("AccountId", "StackName", "StackId", "NotificationARNs"):
        known[f"AWS::{name}"] = Unresolved(f"AWS::{name} is known at deployment only", Span(file))
    return known


# parameters


def _parameters(root: Node, overrides: Mapping[str, Value], stage: str, stack: str) -> dict[str, Value]:
    section = root.get("Parameters")
    known = _section(root, "Parameters")
    given = dict(overrides)
    if stage and "Stage" in known:
        given.setdefault("Stage", stage)
    errors: list[LambdaBuildError] = [
        UnknownName(
            f"the template has no parameter {name!r}",
            where=section.span if section else None,
            help=nearest(name, known, "parameters"),
        )
        for name in given
        if name not in known
    ]
    values = {}
    for name, node in known.items():
        where = section.keys.get(name, node.span) if section else node.span
        try:
            values[name] = _parameter(name, node, where, given, stack)
        except LambdaBuildError as error:
            errors.append(error)
    raise_all(errors)
    return values


def _parameter(name: str, node: Node, where: Span, given: Mapping[str, Value], stack: str) -> Value:
    if not isinstance(node.value, dict):
        raise BadTemplate(f"the parameter {name!r} is not a mapping", where=where, help="give it a Type")
    kind = _plain(node, "Type") or "String"
    default = node.get("Default")
    if name not in given and default is None:
        return Unresolved(f"the parameter {name} has no value", where, give=_how_to_give(name, node, stack))
    value = given[name] if name in given else to_data(default)
    if isinstance(value, Unresolved):
        return value
    if str(kind).startswith(SECRET_TYPES):
        return Unresolved(f"the parameter {name} is looked up at deployment", where)
    _check_allowed(name, node, value, where)
    if kind == "CommaDelimitedList" or str(kind).startswith("List<"):
        return [part.strip() for part in text_of(value).split(",")] if not isinstance(value, list) else value
    if kind == "Number" and not re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", text_of(value).strip()):
        raise BadTemplate(f"the parameter {name} is {value!r}, not a number", where=where, help="give it a number")
    return text_of(value)


def _how_to_give(name: str, node: Node, stack: str) -> str:
    allowed = node.get("AllowedValues")
    values = [text_of(item.value) for item in allowed.value] if allowed and isinstance(allowed.value, list) else []
    example = values[0] if values else "..."
    others = f" (allowed: {', '.join(values)})" if len(values) > 1 else ""
    if stack:
        return f"pass it in the Parameters of the stack {stack}, as {name}: {example}{others}, or give it a Default"
    return f"give it with param.{name}={example}{others}, or give it a Default"


def _check_allowed(name: str, node: Node, value: Value, where: Span) -> None:
    allowed = node.get("AllowedValues")
    if allowed is None or not isinstance(allowed.value, list):
        return
    known = [text_of(item.value) for item in allowed.value]
    if not isinstance(value, list) and text_of(value) not in known:
        is_secret = text_of(_plain(node, "NoEcho")) == "true"
        raise BadTemplate(
            f"the parameter {name} is {'secret, but' if is_secret else repr(text_of(value)) + ','} not allowed",
            where=(where, allowed.span),
            help=nearest("" if is_secret else text_of(value), known, "values"),
        )


def _plain(node: Node, key: str) -> Value:
    child = node.get(key)
    return child.value if child is not None else None
