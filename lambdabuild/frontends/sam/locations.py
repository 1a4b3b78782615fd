"""A property -> the location it names: a path on this machine, a reason why it is elsewhere, or that it is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Node
from lambdabuild.frontends.intrinsics import NO_VALUE, Scope, Unresolved, Value, resolve
from lambdabuild.frontends.sam.packaged import REMOTE, is_local


class Elsewhere(Struct, frozen=True):
    """No path is meant, and why that is so."""

    reason: str


INLINE = Elsewhere("its code is inline")
IN_S3 = Elsewhere("its code is in S3 already")
REMOTE_CODE = Elsewhere("its code is elsewhere")
AT_DEPLOYMENT = Elsewhere("its code location is known at deployment only")
IN_PLACE: Mapping[str, Elsewhere] = {"ZipFile": INLINE, "S3Bucket": IN_S3, "S3Key": IN_S3, "Bucket": IN_S3}
"""Keys of a mapping that stands where a path may stand."""


def code_location(node: Node, names: Scope) -> Value:
    """Return a path, Elsewhere, Unresolved where it may be an unknown path; any other value unchanged.

    Both branches of an Fn::If count when its condition is not known: if none of them is a path, none is meant.
    """
    locations = [_classified(value) for value in _possible(node, names)]
    if len(locations) == 1:
        return locations[0]
    is_elsewhere = [isinstance(value, Elsewhere) or value is NO_VALUE for value in locations]
    return next(filter(_is_elsewhere, locations), AT_DEPLOYMENT) if all(is_elsewhere) else resolve(node, names)


def may_be_local(value: Unresolved) -> bool:
    """Return whether a path may be meant: a person can supply it now, or its known part begins as a path does."""
    if not value.text or value.text.startswith("${"):
        return bool(value.give)
    return is_local(value.text)


def _is_elsewhere(value: Value) -> bool:
    return isinstance(value, Elsewhere)


def _possible(node: Node, names: Scope) -> Iterator[Value]:
    choice = node.get("Fn::If")
    if choice is not None and isinstance(choice.value, list) and len(choice.value) == 3:
        name, *branches = choice.value
        if isinstance(names.condition(str(name.value), name.span), Unresolved):
            for branch in branches:
                yield from _possible(branch, names)
            return
    yield resolve(node, names)


def _classified(value: Value) -> Value:
    if isinstance(value, dict):
        return next((IN_PLACE[key] for key in value if key in IN_PLACE), value)
    text = value.text if isinstance(value, Unresolved) else value
    if isinstance(text, str) and text.startswith(REMOTE):
        return IN_S3 if text.startswith("s3://") else REMOTE_CODE
    if isinstance(value, Unresolved) and not value.help and not may_be_local(value):
        return AT_DEPLOYMENT
    return value
