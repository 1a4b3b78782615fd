"""A service's own resources, merged over the compiled ones, and its extensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lambdabuild.cloudformation.fragment import Json
from lambdabuild.core.errors import BadConfiguration, BadExtension, raise_all
from lambdabuild.core.model import Definition

REPLACED = ("Condition", "CreationPolicy", "DeletionPolicy", "UpdatePolicy", "UpdateReplacePolicy")


def merged(template: Json, definition: Definition) -> Json:
    """Merge ``resources`` over the template: mappings are joined, lists item by item, anything else is replaced."""
    written = definition.data.get("resources") or {}
    given = {section: value for section, value in written.items() if value is not None}  # one without content is none
    extensions = given.pop("extensions", {})
    found = _merge(template, given)
    for name, attributes in extensions.items():
        found = {**found, "Resources": _extended(found["Resources"], name, attributes or {}, definition)}
    found = {**found, "Resources": {key: _without_null(one) for key, one in found["Resources"].items()}}
    raise_all(_empty(path, definition) for path in _nulls(found))
    return found


def _nulls(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the places of nulls, which CloudFormation accepts nowhere; properties no longer have any."""
    if len(path) == 3 and path[0] == "Resources" and path[2] == "Properties":
        return
    if value is None:
        yield path
    elif isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            if one is None or isinstance(one, dict | list):
                yield from _nulls(one, (*path, str(key)))


def _empty(path: tuple[str, ...], definition: Definition) -> BadConfiguration:
    return BadConfiguration(
        f"resources.{'.'.join(path)} has no value, and a template has none without",
        where=definition.at("resources", *path),
        help="write its value, or remove it",
    )


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
            help=f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(resources))}",
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
                help=f"extend {', '.join((*REPLACED, 'Properties', 'Metadata', 'DependsOn'))}",
                known_as="RESOURCE_EXTENSION_UNSUPPORTED_ATTRIBUTE",
            )
    return {**resources, name: resource}


def _without_null(resource: Any) -> Any:
    """Remove attributes and properties that are null, and nulls in lists."""
    if not isinstance(resource, dict):
        return resource
    found = {key: value for key, value in resource.items() if value is not None}
    return found | ({"Properties": _stripped(found["Properties"])} if "Properties" in found else {})


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(one) for key, one in value.items() if one is not None}
    return [_stripped(one) for one in value if one is not None] if isinstance(value, list) else value
