"""A Definition with layers that nobody wrote, as if they stood in its serverless.yml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lambdabuild.core import naming
from lambdabuild.core.model import Definition
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, from_data

NAME_LENGTH = 140
"""Of a layer. https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html"""
DESCRIPTION_LENGTH = 256


class SharedLayer(Struct, frozen=True):
    """One such layer; ``functions`` are the keys of those that use it."""

    key: str
    packages: tuple[str, ...]
    runtime: str
    architecture: str
    functions: tuple[str, ...]


def with_layers(definition: Definition, layers: Sequence[SharedLayer]) -> Definition:
    """Return the service with these layers added, each after the layers its functions or the provider name."""
    if not layers:
        return definition
    made = {layer.key: _layer(definition, layer) for layer in layers}
    users: dict[str, list[dict[str, str]]] = {}
    for layer in layers:
        for key in layer.functions:
            users.setdefault(key, []).append({"Ref": naming.layer(layer.key)})
    root = _with(definition.root, "layers", made)
    functions = {key: _function(definition, key, references) for key, references in users.items()}
    return replace(
        definition,
        root=_with(root, "functions", functions),
        artifacts={**definition.artifacts, **{f"layer:{layer.key}": layer.key for layer in layers}},
    )


def _layer(definition: Definition, layer: SharedLayer) -> Node:
    name = f"{definition.service}-{definition.stage}-{layer.key}"
    data = {
        "name": name[-NAME_LENGTH:].lstrip("-"),
        "description": shortened(", ".join(layer.packages)),
        "compatibleRuntimes": [layer.runtime],
        "compatibleArchitectures": [layer.architecture],
    }
    return from_data(data, definition.at("functions", layer.functions[0]))


def shortened(description: str) -> str:
    """Cut a text to the length that Lambda allows."""
    return description if len(description) <= DESCRIPTION_LENGTH else description[: DESCRIPTION_LENGTH - 3] + "..."


def _function(definition: Definition, key: str, references: Iterable[Mapping[str, str]]) -> Node:
    functions = definition.root.get("functions")
    function = functions.get(key) if functions is not None else None
    assert function is not None  # it is one of the service's
    config: Any = definition.data["functions"][key]
    given = config.get("layers")
    named = given if given is not None else definition.data["provider"].get("layers")
    layers = from_data([*(named or []), *references], definition.at("functions", key))
    return _with(function, "layers", layers)


def _with(node: Node, key: str, more: Node | Mapping[str, Node]) -> Node:
    """Return the mapping with a new value under a key, or with members added to the mapping under it."""
    assert isinstance(node.value, dict)
    if isinstance(more, Node):
        return replace(node, value={**node.value, key: more})
    there = node.value.get(key)
    value = there.value if there is not None and isinstance(there.value, dict) else {}
    joined = replace(there or node, value={**value, **more}, style="block")
    return replace(node, value={**node.value, key: joined})
