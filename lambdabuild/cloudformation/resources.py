"""What a service says of the template itself: its own resources merged over the compiled ones, and extensions."""

from __future__ import annotations

from typing import Any

from lambdabuild.cloudformation.fragment import Json
from lambdabuild.errors import BadExtension
from lambdabuild.model import Definition

REPLACED = ("Condition", "CreationPolicy", "DeletionPolicy", "UpdatePolicy", "UpdateReplacePolicy")


def merged(template: Json, definition: Definition) -> Json:
    """The template with ``resources`` over it: mappings are joined, lists item by item, anything else is replaced."""
    given = dict(definition.data.get("resources") or {})
    extensions = given.pop("extensions", None) or {}
    found = _merge(template, given)
    for name, attributes in extensions.items():
        found = {**found, "Resources": _extended(found["Resources"], name, attributes or {}, definition)}
    return {**found, "Resources": {key: _without_null(one) for key, one in found["Resources"].items()}}


def _merge(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        both = dict(one)
        for key, value in other.items():
            both[key] = _merge(both[key], value) if key in both else value
        return both
    if isinstance(one, list) and isinstance(other, list):
        joined = [_merge(a, b) for a, b in zip(one, other, strict=False)]
        return [*joined, *(one if len(one) > len(other) else other)[len(joined) :]]
    return other


def _extended(resources: Json, name: str, attributes: Json, definition: Definition) -> Json:
    if name not in resources:
        import difflib

        near = difflib.get_close_matches(name, list(resources), 1, 0.6)
        raise BadExtension(
            f"resources.extensions is about {name!r}, which the template does not have",
            where=definition.at("resources", "extensions", name),
            mend=f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(resources))}",
            known_as="RESOURCE_EXTENSION_NOT_EXISTING",
        )
    resource = dict(resources[name])
    for attribute, value in attributes.items():
        if attribute in REPLACED:
            resource[attribute] = value
        elif attribute in ("Properties", "Metadata"):
            resource[attribute] = {**(resource.get(attribute) or {}), **(value or {})}
        elif attribute == "DependsOn":
            there = resource.get("DependsOn") or []
            resource["DependsOn"] = [*([there] if isinstance(there, str) else there), *(value or ())]
        else:
            raise BadExtension(
                f"{attribute} of a resource cannot be extended",
                where=definition.at("resources", "extensions", name, attribute),
                mend=f"extend {', '.join((*REPLACED, 'Properties', 'Metadata', 'DependsOn'))}",
                known_as="RESOURCE_EXTENSION_UNSUPPORTED_ATTRIBUTE",
            )
    return {**resources, name: resource}


def _without_null(resource: Any) -> Any:
    """Null takes a property away. A null in a list is no item."""
    if not isinstance(resource, dict) or "Properties" not in resource:
        return resource
    if resource["Properties"] is None:
        return {key: value for key, value in resource.items() if key != "Properties"}
    return {**resource, "Properties": _stripped(resource["Properties"])}


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(one) for key, one in value.items() if one is not None}
    return [_stripped(one) for one in value if one is not None] if isinstance(value, list) else value
