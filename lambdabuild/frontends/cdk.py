"""A cloud assembly of the AWS CDK (``cdk.out``) -> Service: all of its stacks, those of Stages too.

Each stack's template is read as SAM reads it; functions are called STACK/LogicalId. Images are left to the CDK, which
builds them when it deploys.
"""

from __future__ import annotations

import posixpath
from typing import Any, cast

from lambdabuild.core import regular
from lambdabuild.core.errors import BadTemplate, CannotReadTemplate
from lambdabuild.core.model import Image, Service, Skipped
from lambdabuild.core.plain import Json
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.frontends.sam import reader
from lambdabuild.frontends.sam.code_resource import Files

MANIFEST = "manifest.json"
TYPES = {"stack": "aws:cloudformation:stack", "assembly": "cdk:cloud-assembly"}
SYNTH = "run cdk synth again"
NO_LAYERS = "a cloud assembly gets no layers that the CDK does not know"
BY_CDK = "its image is built by cdk deploy"


def load(folder: str, files: Files, *, region: str = "", keeps_broken: bool = False) -> Service:
    """Return the functions and layers of every stack of an assembly. All mistakes are raised together."""
    stacks = _stacks(folder, files)
    if not stacks:
        raise BadTemplate(f"{folder} has no stack with resources", where=Span(_file(folder)), help=SYNTH)
    service = reader.load_stacks(stacks, files, region=region, keeps_broken=keeps_broken)
    documents = tuple(
        replace(document, rewrites=tuple(rewrite for rewrite in document.rewrites if rewrite.kind != "image"))
        for document in service.documents
    )
    skipped = (*service.skipped, *map(_by_cdk, service.images))
    functions = tuple(replace(function, fixed_layers=NO_LAYERS) for function in service.functions)
    return replace(service, documents=documents, functions=functions, images=(), skipped=skipped, assembly=folder)


def _by_cdk(image: Image) -> Skipped:
    return Skipped(image.name, BY_CDK, image.where)


def _stacks(folder: str, files: Files) -> dict[str, str]:
    """Return the template of each stack that has resources, by the stack's artifact id."""
    manifest = _json(_file(folder), files)
    missing = manifest.get("missing")
    if missing:
        wanted = ", ".join(sorted({str(one.get("provider")) for one in missing if isinstance(one, dict)}))
        raise BadTemplate(
            f"the assembly {folder} is not whole: it waits for context ({wanted})",
            where=Span(_file(folder)),
            help="let cdk synth look it up once, with an account, and commit cdk.context.json",
        )
    stacks: dict[str, str] = {}
    for name, artifact in _artifacts(manifest, folder).items():
        properties = artifact.get("properties") or {}
        if artifact.get("type") == TYPES["stack"]:
            path = posixpath.join(folder, _text(properties, "templateFile", name, folder))
            if _json(path, files).get("Resources"):
                stacks[name] = path
        elif artifact.get("type") == TYPES["assembly"]:
            stacks |= _stacks(posixpath.join(folder, _text(properties, "directoryName", name, folder)), files)
    return stacks


def _artifacts(manifest: Json, folder: str) -> dict[str, Json]:
    artifacts = manifest.get("artifacts")
    if "version" not in manifest or not isinstance(artifacts, dict):
        raise BadTemplate(f"{_file(folder)} is no cloud assembly's manifest", where=Span(_file(folder)), help=SYNTH)
    return {str(name): one for name, one in artifacts.items() if isinstance(one, dict)}


def _text(properties: Json, key: str, name: str, folder: str) -> str:
    value = properties.get(key)
    if not isinstance(value, str) or not value:
        raise BadTemplate(f"the artifact {name!r} has no {key}", where=Span(_file(folder)), help=SYNTH)
    return value


def _json(path: str, files: Files) -> Json:
    try:
        data: Any = regular.json(files.read(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotReadTemplate(f"cannot read {path}: {why}", where=Span(path), help=SYNTH) from error
    except ValueError as error:
        raise BadTemplate(f"{path} is not JSON: {error}", where=Span(path), help=SYNTH) from error
    if not isinstance(data, dict):
        raise BadTemplate(f"{path} is no JSON object", where=Span(path), help=SYNTH)
    return cast("Json", data)


def _file(folder: str) -> str:
    return posixpath.join(folder, MANIFEST)
