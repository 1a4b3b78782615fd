"""The sections of a serverless.yml before its schema is looked at: what is merged, and what is no service at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from lambdabuild.core.errors import BadConfiguration, BadFunction, LambdaBuildError
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, Span

VERSION_4 = re.compile(r"[\s^~=v>]*4(\.|\s|$)")
"""Matches a ``frameworkVersion`` of version 4."""


def members(node: Node | None) -> dict[str, Node]:
    """Return the values of a mapping by key; {} for anything else."""
    return node.value if node is not None and isinstance(node.value, dict) else {}


def with_members(node: Node, **changed: Node) -> Node:
    """Return a mapping with some values replaced or added."""
    return replace(node, value={**members(node), **changed})


def is_version_4(root: Node) -> bool:
    """Return whether a service is for version 4: it says so, or has a section that only version 4 knows."""
    node = root.get("frameworkVersion")
    version = str(node.value) if node is not None else ""
    return VERSION_4.match(version) is not None or (not version and any(root.get(key) for key in ("stages", "build")))


def merged(root: Node) -> Node:
    """Return the configuration with ``functions`` and ``resources`` as mappings.

    They may be lists of mappings, which are merged in order. Functions without a value are dropped.
    """
    lists = {
        key: node for key in ("functions", "resources") if (node := root.get(key)) and isinstance(node.value, list)
    }
    root = with_members(root, **{key: _merged_list(key, node) for key, node in lists.items()})
    functions = root.get("functions")
    if functions is None or not isinstance(functions.value, dict):
        return root
    described = {name: function for name, function in functions.value.items() if function.value is not None}
    return with_members(root, functions=replace(functions, value=described))


def _merged_list(key: str, node: Node) -> Node:
    parts = [part for part in cast("list[Node]", node.value) if part.value]
    wrong = [part for part in parts if not isinstance(part.value, dict)]
    if wrong:
        raise BadConfiguration(
            f"{key} is a list, but one of its items is not a mapping",
            where=wrong[0].span,
            help=f"make every item of {key} a mapping, or a file() of one",
            known_as="LEGACY_CONFIGURATION_PROPERTY_MERGE_INVALID_INPUT",
        )
    whole = Node({}, node.span, "flow")
    for part in parts:
        whole = _merge(whole, part)
    return whole


def _merge(base: Node, other: Node) -> Node:
    """Merge deeply: mappings are joined, lists are merged item by item, anything else is replaced."""
    if isinstance(base.value, dict) and isinstance(other.value, dict):
        both = dict(base.value)
        for key, node in other.value.items():
            both[key] = _merge(both[key], node) if key in both else node
        return replace(base, value=both, keys={**base.keys, **other.keys})
    if isinstance(base.value, list) and isinstance(other.value, list):
        longer = [*other.value, *base.value[len(other.value) :]]
        items = [_merge(a, b) for a, b in zip(base.value, other.value, strict=False)]
        return replace(base, value=[*items, *longer[len(items) :]])
    return other


def refuse_what_is_no_service(root: Node) -> None:
    """Raise BadConfiguration (LB109) when a section that every service needs is missing or has the wrong form."""
    for key, known_as in (("service", "SERVICE_NAME_MISSING"), ("provider", "PROVIDER_NAME_MISSING")):
        node = root.get(key)
        if node is None or node.value in (None, ""):
            raise BadConfiguration(f"{key} is missing", where=root.span, help=f"add {key}:", known_as=known_as)
    service = root.get("service")
    if service is not None and isinstance(service.value, dict):
        raise BadConfiguration(
            "service is a mapping",
            where=service.span,
            help="write only its name: service: NAME",
            known_as="SERVICE_OBJECT_NOTATION",
        )
    _refuse_other_provider(root)
    _refuse_malformed_functions(root)


def _refuse_other_provider(root: Node) -> None:
    provider = root.get("provider")
    name = provider.get("name") if provider is not None else None
    value = name.value if name is not None else provider.value if provider is not None else ""
    if isinstance(value, str) and value != "aws":
        raise BadConfiguration(
            f"the provider is {value!r}; lambdabuild builds for aws only",
            where=(name or provider or root).span,
            help="write name: aws",
        )


def _refuse_malformed_functions(root: Node) -> None:
    functions = root.get("functions")
    if functions is not None and functions.value is not None and not isinstance(functions.value, dict):
        raise BadConfiguration(
            "functions is not a mapping",
            where=functions.span,
            help="name each function",
            known_as="NON_OBJECT_FUNCTIONS_CONFIGURATION",
        )
    for key, function in members(functions).items():
        if not isinstance(function.value, dict):
            raise BadConfiguration(
                f"function {key!r} is not a mapping",
                where=function.span,
                help="give it a handler",
                known_as="NON_OBJECT_FUNCTION_CONFIGURATION_ERROR",
            )


def functions_without_handler(root: Node) -> Iterator[LambdaBuildError]:
    """Yield an error for each function that has neither a handler nor an image, or both."""
    functions = root.get("functions")
    for key, function in members(functions).items():
        wrong = _wrong_handler(key, function, functions.keys.get(key, function.span) if functions else function.span)
        if wrong is not None:
            yield wrong


def _wrong_handler(key: str, function: Node, where: Span) -> LambdaBuildError | None:
    handler, image = function.get("handler"), function.get("image")
    has_handler = handler is not None and bool(handler.value)
    has_image = image is not None and bool(image.value)
    if has_handler != has_image:
        return None
    if has_handler:
        return BadFunction(
            f"function {key!r} has both a handler and an image",
            where=where,
            help="remove one of them",
            known_as="FUNCTION_BOTH_HANDLER_AND_IMAGE_DEFINED_ERROR",
        )
    return BadFunction(
        f"function {key!r} has neither a handler nor an image",
        where=where,
        help="add handler: file.function",
        known_as="FUNCTION_NEITHER_HANDLER_NOR_IMAGE_DEFINED_ERROR",
    )
