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
    result = _merge(template, given)
    for name, attributes in extensions.items():
        result = {**result, "Resources": _extended(result["Resources"], name, attributes or {}, definition)}
    result = {**result, "Resources": {key: _without_null(resource) for key, resource in result["Resources"].items()}}
    raise_all(_empty(path, definition) for path in _nulls(result))
    return result


def _nulls(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the places of nulls, which CloudFormation accepts nowhere; properties no longer have any."""
    if len(path) == 3 and path[0] == "Resources" and path[2] == "Properties":
        return
    if value is None:
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if item is None or isinstance(item, dict | list):
                yield from _nulls(item, (*path, str(key)))


def _empty(path: tuple[str, ...], definition: Definition) -> BadConfiguration:
    return BadConfiguration(
        f"resources.{'.'.join(path)} has no value, and a template has none without",
        where=definition.at("resources", *path),
        help="write its value, or remove it",
    )


def _merge(base: object, other: object) -> Any:
    if isinstance(base, dict) and isinstance(other, dict):
        both = dict(base)
        for key, value in other.items():
            both[key] = _merge(both[key], value) if key in both else value
        return both
    if isinstance(base, list) and isinstance(other, list):
        joined = [_merge(a, b) for a, b in zip(base, other, strict=False)]
        return [*joined, *(base if len(base) > len(other) else other)[len(joined) :]]
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


def _without_null(resource: object) -> Any:
    """Remove attributes and properties that are null, and nulls in lists."""
    if not isinstance(resource, dict):
        return resource
    kept = {key: value for key, value in resource.items() if value is not None}
    return kept | ({"Properties": _stripped(kept["Properties"])} if "Properties" in kept else {})


def _stripped(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items() if item is not None}
    return [_stripped(item) for item in value if item is not None] if isinstance(value, list) else value
