"""The service, the plan and the rules of the last run, for a run in which the snapshot says that they are the same.

Nothing of a serverless.yml is kept, for its values may be secrets. Only our own plain records are read back, from JSON:
the file may have come with somebody's CI cache, and can start nothing, nor cost more than its length.
"""

from __future__ import annotations

import gc
import json
import os
from _blake2 import blake2b
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from lambdabuild._version import __version__
from lambdabuild.config import settings
from lambdabuild.core import model, regular, spans
from lambdabuild.core.model import Service
from lambdabuild.core.records import Struct
from lambdabuild.engine.base.snapshot import STATE
from lambdabuild.files import sealed
from lambdabuild.plan import types
from lambdabuild.plan.types import BuildPlan, Rule

FILE = "plan"
MARK = f"lambdabuild {__version__} plan 3"

Kept = tuple[Service, BuildPlan, Mapping[str, Rule]]

CLASSES: dict[str, Any] = {
    name: kind
    for module in (model, settings, spans, types)
    for name, kind in vars(module).items()
    if isinstance(kind, type)
    and (is_dataclass(kind) or issubclass(kind, Struct))
    and kind.__module__ == module.__name__
}
NAMES = {kind: name for name, kind in CLASSES.items()}
COLLECTIONS: Mapping[str, Any] = {"(": tuple, "[": list, "<": frozenset}
FIELDS = {
    name: kind.__struct_fields__ if issubclass(kind, Struct) else tuple(field.name for field in fields(kind))
    for name, kind in CLASSES.items()
}


def write(build_dir: str, kept: Kept) -> str:
    """Gives the digest by which it is read, "" when nothing is kept."""
    if kept[0].definition is not None or any(_has_arguments(image) for image in kept[0].images):
        return ""
    try:
        head = [_packed(one) for one in (kept[0], kept[1], dict(kept[2]))]
    except TypeError:  # a setting that is none of the plain kinds; nothing is lost but time
        return ""
    data = json.dumps(head, separators=(",", ":")).encode()
    digest = blake2b(data, digest_size=16).hexdigest()
    return digest if sealed.write(os.path.join(build_dir, STATE, FILE), MARK, digest, [data]) else ""


def _has_arguments(image: model.Image) -> bool:
    """Arguments of a build may be secrets too."""
    return isinstance(image.source, model.DockerBuild) and bool(image.source.arguments)


def read(build_dir: str, digest: str) -> Kept | None:
    """Return what was kept under the digest, None if it is gone."""
    try:
        _, (data,) = sealed.read(os.path.join(build_dir, STATE, FILE), MARK)
        if not digest or blake2b(data, digest_size=16).hexdigest() != digest:
            return None
        gc.disable()  # there are no circles to look for
        service, plan, rules = (_unpacked(one) for one in regular.json(data))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    finally:
        gc.enable()
    is_whole = isinstance(service, Service) and isinstance(plan, BuildPlan) and isinstance(rules, dict)
    return (service, plan, rules) if is_whole else None


def _packed(value: Any) -> Any:
    """As JSON: texts, numbers and None are themselves, all else a list that begins with what it is."""
    if value is None or isinstance(value, str | int | float):
        return value
    name = NAMES.get(type(value))
    if name is not None:
        return [name, *(_packed(getattr(value, field)) for field in FIELDS[name])]
    if isinstance(value, Mapping):
        return ["{", *(_packed(one) for pair in value.items() for one in pair)]
    if isinstance(value, tuple | list | frozenset):
        sign = next(sign for sign, kind in COLLECTIONS.items() if isinstance(value, kind))
        items = sorted(value) if isinstance(value, frozenset) else value
        return [sign, *map(_packed, items)]
    raise TypeError(f"{type(value).__name__} is not kept")


def _unpacked(value: Any) -> Any:
    if type(value) is not list:
        return value
    sign, *items = value
    items = [one if type(one) is not list else _unpacked(one) for one in items]
    names = FIELDS.get(sign)
    if names is not None:
        return _record(CLASSES[sign], names, items)
    if sign == "{":
        return dict(zip(items[::2], items[1::2], strict=True))
    return COLLECTIONS[sign](items)


def _record(kind: Any, names: tuple[str, ...], values: list[Any]) -> Any:
    """A record with its fields, as pickle would make it: nothing of ours is called."""
    if issubclass(kind, Struct):
        return kind(*values)
    made = object.__new__(kind)
    vars(made).update(zip(names, values, strict=True))
    return made
