"""The functions and layers of a CDK app as one build: which there are, what they are called, what is run. No CDK here.

Wanted, ...     --named-->  names    two with one name that are alike, as in two stages, are one build
names, folders  --build-->  Zip      one run of lambdabuild for each project, usually one for the whole app
Zip             --stage-->  Zip      a copy in the cloud assembly
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lambdabuild.api import builds
from lambdabuild.core.errors import BadLayer, CannotRead

BUILD_DIR = os.path.join(".lambdabuild", "cdk")
"""Where an app's zips are built, in the project's folder. What is in ``.lambdabuild/`` is shipped with no function."""
FIXED: Mapping[str, object] = {"build_dir": BUILD_DIR, "template": "none", "bucket": "", "format": "text"}
"""Settings of every run: no other functions are in it, and the CDK uploads the zips."""
SETTINGS = "lambdabuild.toml"
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_NAME = 64
ATTEMPTS = 3
FOREIGN_LAYER = "arn:aws:lambda:::layer:another"
"""Stands for a layer that somebody else made: a handler may be in it."""


@dataclass(frozen=True)
class Zip:
    """A built zip: an absolute path, and its sha256 in hexadecimal."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Wanted:
    """A function or layer that a construct asks for."""

    table: str
    """``functions`` or ``layers``, as in the settings."""
    name: str
    """What it is to be called, if nothing else is."""
    construct: str
    """The path of the construct, for errors."""
    project: str
    """The folder in which lambdabuild runs."""
    settings: Mapping[str, object]
    layers: tuple[Wanted | None, ...] = ()
    """The layers that a function runs with; None is one that we do not build."""
    artifacts: tuple[str, ...] = field(default=("",))
    """What is appended to the name for each architecture of a layer that has several."""

    @property
    def key(self) -> str:
        """Two with the same key are built once. The name is part of it: settings of that name may apply."""
        layers = [layer.key if layer else "" for layer in self.layers]
        return repr((self.table, self.name, self.project, sorted(self.settings.items()), layers))


def legal_name(text: str) -> str:
    """Return a name that a function can have, different for different texts that are too long."""
    name = NOT_IN_NAMES.sub("-", text).strip("-") or "function"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{_short_digest(text)}"


def project_of(path: str, here: str) -> str:
    """Return the folder of the nearest lambdabuild.toml at or above a path, in the same checkout; else ``here``."""
    folder = path
    while not os.path.isfile(os.path.join(folder, SETTINGS)):
        parent = os.path.dirname(folder)
        if folder == here or parent == folder or os.path.lexists(os.path.join(folder, ".git")):
            return here
        folder = parent
    return folder


def named(all_wanted: Iterable[Wanted]) -> dict[str, str]:
    """Return a name for each key. One name that several would have gets a digest, so it never depends on the order."""
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for wanted in all_wanted:
        keys[wanted.project, wanted.name].add(wanted.key)
    names = {}
    for (_, name), same in keys.items():
        for key in same:
            names[key] = name if len(same) == 1 else f"{name[: LONGEST_NAME - 9]}-{_short_digest(key)}"
    return names


def build(all_wanted: Sequence[Wanted], assembly: str) -> dict[str, Zip]:
    """Build what is wanted, and return for each key the zip's copy in a cloud assembly; with "" the zip itself.

    Raises ToolFailed (LB502) with lambdabuild's words, BadLayer (LB610), CannotRead (LB505).
    """
    every = list({wanted.key: wanted for one in all_wanted for wanted in (one, *filter(None, one.layers))}.values())
    names = named(every)
    zips: dict[str, Zip] = {}
    for project in sorted({wanted.project for wanted in every}):
        zips |= _built_and_staged(project, [wanted for wanted in every if wanted.project == project], names, assembly)
    return zips


def _built_and_staged(
    project: str, all_wanted: Sequence[Wanted], names: Mapping[str, str], assembly: str
) -> dict[str, Zip]:
    """Build in one project. Another app there may write zips of the same names before these are copied: try again."""
    for attempt in range(1, ATTEMPTS + 1):
        zips = _build_project(project, all_wanted, names)
        if not assembly:
            return zips
        try:
            return {key: Zip(stage(zip, assembly), zip.sha256) for key, zip in zips.items()}
        except CannotRead:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _build_project(project: str, all_wanted: Sequence[Wanted], names: Mapping[str, str]) -> dict[str, Zip]:
    tables: dict[str, dict[str, object]] = {"functions": {}, "layers": {}}
    for wanted in all_wanted:
        tables[wanted.table][names[wanted.key]] = {**wanted.settings, **_layers_of(wanted, names)}
    asked = sorted({f"{names[wanted.key]}{suffix}" for wanted in all_wanted for suffix in wanted.artifacts})
    built = builds.build(project, asked, settings={**FIXED, **tables})
    return {wanted.key: _zip_of(wanted, names[wanted.key], built) for wanted in all_wanted}


def _layers_of(wanted: Wanted, names: Mapping[str, str]) -> dict[str, object]:
    """Return a function's setting ``layers``; one that another project builds is a stranger's."""
    if not wanted.layers:
        return {}
    same = [layer if layer and layer.project == wanted.project else None for layer in wanted.layers]
    return {"layers": [names[layer.key] if layer else FOREIGN_LAYER for layer in same]}


def _zip_of(wanted: Wanted, name: str, built: Mapping[str, builds.Artifact]) -> Zip:
    artifacts = [built[f"{name}{suffix}"] for suffix in wanted.artifacts]
    if len({artifact.sha256 for artifact in artifacts}) > 1:
        raise BadLayer(
            f"the layer {wanted.construct} is not the same for {' and '.join(a.architecture for a in artifacts)}",
            help="give each architecture a Layer of its own: compatible_architectures with one item",
        )
    return Zip(artifacts[0].zip, artifacts[0].sha256)


def stage(zip: Zip, folder: str) -> str:
    """Copy a zip into a cloud assembly, unless it is there; return its path. Raises CannotRead (LB505).

    The copy is the zip with that digest or none: another run may be writing a zip of the same name.
    """
    path = os.path.join(folder, f"asset.{zip.sha256}.zip")
    if _sha256(path) == zip.sha256:
        return path
    aside = f"{path}.{os.getpid()}"
    try:
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(zip.path, aside)
        if _sha256(aside) != zip.sha256:
            raise CannotRead(f"{zip.path} was changed while it was copied", help="run it again")
        os.replace(aside, path)
    except OSError as error:
        raise CannotRead(f"cannot copy {zip.path} to {path}: {error.strerror}", help="see whether it exists") from error
    finally:
        if os.path.lexists(aside):
            os.unlink(aside)
    return path


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
