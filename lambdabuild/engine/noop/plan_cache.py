"""The service, the plan and the rules of the last run, for a run in which the snapshot says that they are the same.

Nothing of a serverless.yml is kept, for its values may be secrets. Only our own plain records are read back, from JSON:
the file may have come with somebody's CI cache, and can start nothing, nor cost more than its length.
"""

from __future__ import annotations

import gc
import json
import os
from _blake2 import blake2b
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lambdabuild._version import __version__
from lambdabuild.config import settings
from lambdabuild.core import function_settings, model, regular, spans
from lambdabuild.core.model import Service
from lambdabuild.core.records import Struct
from lambdabuild.engine.base.snapshot import STATE
from lambdabuild.files import sealed
from lambdabuild.plan import types
from lambdabuild.plan.types import BuildPlan, Rule

FILE = "plan"
MARK = f"lambdabuild {__version__} plan 4"

Kept = tuple[Service, BuildPlan, Mapping[str, Rule]]

CLASSES: Mapping[str, type[Struct]] = {
    name: kind
    for module in (model, function_settings, settings, spans, types)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Struct) and kind.__module__ == module.__name__
}
NAMES = {kind: name for name, kind in CLASSES.items()}
COLLECTIONS: Mapping[str, type[Any]] = {"(": tuple, "[": list, "<": frozenset}
NOTHING = object()
"""In place of the default of a field that must be given."""


def _defaults(kind: type[Struct]) -> list[Any]:
    """Return the default of each field. Fields at the end that have theirs are not written."""
    given = [item.factory() if hasattr(item, "factory") else item for item in kind.__struct_defaults__]
    return [NOTHING] * (len(kind.__struct_fields__) - len(given)) + given


DEFAULTS = {kind: _defaults(kind) for kind in NAMES}


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
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
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
        return [name, *map(_packed, _fields(value))]
    if isinstance(value, Mapping):
        return ["{", *(_packed(one) for pair in value.items() for one in pair)]
    if isinstance(value, tuple | list | frozenset):
        sign = next(sign for sign, kind in COLLECTIONS.items() if isinstance(value, kind))
        items = sorted(value) if isinstance(value, frozenset) else value
        return [sign, *map(_packed, items)]
    raise TypeError(f"{type(value).__name__} is not kept")


def _fields(record: Struct) -> Sequence[Any]:
    """Return the values of a record's fields up to the last that is not the default."""
    defaults = DEFAULTS[type(record)]
    values = [getattr(record, name) for name in record.__struct_fields__]
    while values and values[-1] == defaults[len(values) - 1]:
        values.pop()
    return values


def _unpacked(value: list[Any]) -> Any:
    make = MAKERS[value[0]]
    return make([item if type(item) is not list else _unpacked(item) for item in value[1:]])


def _maker(kind: type[Struct]) -> Callable[[list[Any]], Struct]:
    return lambda values: kind(*values)


def _mapping(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


MAKERS: Mapping[str, Callable[[list[Any]], Any]] = {
    "{": _mapping,
    **COLLECTIONS,
    **{name: _maker(kind) for name, kind in CLASSES.items()},
}
"""What makes a value of its items, by the word that begins its list."""
