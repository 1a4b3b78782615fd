"""The service, the plan and the rules of the last run, for a run in which the snapshot says that they are the same.

Nothing of a serverless.yml is kept, for its values may be secrets. Only our own plain records are read back: the file
may have come with somebody's CI cache, and can start nothing.
"""

from __future__ import annotations

import io
import os
import pickle
from _blake2 import blake2b
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, cast

from lambdabuild import model, regular, settings, spans
from lambdabuild.engine.snapshot import STATE
from lambdabuild.files import aside
from lambdabuild.model import Service
from lambdabuild.plan import types
from lambdabuild.plan.types import BuildPlan, Rule

FILE = "plan"

Kept = tuple[Service, BuildPlan, Mapping[str, Rule]]

MODULES = {module.__name__: module for module in (model, settings, spans, types)}


def write(build_dir: str, kept: Kept) -> str:
    """Gives the digest by which it is read, "" when nothing is kept."""
    if kept[0].definition is not None or any(_has_arguments(image) for image in kept[0].images):
        return ""
    data = pickle.dumps(kept, 5)
    return _digest(data) if aside.write(os.path.join(build_dir, STATE, FILE), data) else ""


def _has_arguments(image: model.Image) -> bool:
    """Arguments of a build may be secrets too."""
    return isinstance(image.source, model.Recipe) and bool(image.source.arguments)


def read(build_dir: str, digest: str) -> Kept | None:
    """What was kept under the digest, if it is still there."""
    try:
        with open(os.path.join(build_dir, STATE, FILE), "rb", opener=regular.opener) as stream:
            data = stream.read()
        return cast("Kept", _Records(io.BytesIO(data)).load()) if digest and _digest(data) == digest else None
    except (OSError, pickle.UnpicklingError, AttributeError, TypeError, EOFError):
        return None


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


class _Records(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = getattr(MODULES.get(module), name, None)
        if not is_dataclass(found) or not isinstance(found, type):
            raise pickle.UnpicklingError(f"{module}.{name} is no record of a plan")
        return found
