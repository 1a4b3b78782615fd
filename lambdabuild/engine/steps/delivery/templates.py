"""Write the templates that name the artifacts, with the manifest: SAM's, or a serverless.yml's compiled one."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath

from lambdabuild.cloudformation.template_text.splice import splice
from lambdabuild.core.atomic import write_text
from lambdabuild.core.model import Document, FileLocation, ImageLocation, Location, Rewrite, S3Location, Text
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import replace
from lambdabuild.core.store import sha256_of
from lambdabuild.engine.base import destination, ownership
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.template_files import BUILT, MANIFEST, PACKAGED, template_file
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.contents import handler_check
from lambdabuild.engine.steps.delivery import manifest, serverless_outputs
from lambdabuild.engine.steps.delivery.artifacts import put, store
from lambdabuild.plan.types import ImageBuild


def templates(run: Run) -> serverless_outputs.Written:
    """Write built-template, packaged-template and manifest.json."""
    packaged: dict[str, Location] = {}
    definition = run.project.service.definition
    own = (
        serverless_outputs.write(run, definition, manifest.shared_layers_as_data(run))
        if definition
        else serverless_outputs.Written({})
    )
    written = dict(own.files)
    for document in sorted(run.project.service.documents, key=_depth, reverse=True):
        written |= _write_document(run, document, packaged)
    text = json.dumps(manifest.of(run), indent=2, sort_keys=True) + "\n"
    written |= _written(os.path.join(run.project.build_dir, MANIFEST), text)
    return replace(own, files=written)


def _written(path: str, text: str) -> dict[str, str]:
    write_text(path, text)
    return {path: hashlib.sha256(text.encode()).hexdigest()}


def _depth(document: Document) -> int:
    return len(document.stack.split("/")) if document.stack else 0


def _write_document(run: Run, document: Document, packaged: dict[str, Location]) -> dict[str, str]:
    """Nested stacks come first, for their parents name where they were put."""
    folder = os.path.join(run.project.build_dir, document.stack)
    ownership.make_room(run, template_file(run.project, document, BUILT))
    trees = shared_layers.added(run, document, lambda name: FileLocation(run.project.tree(name)))
    built = splice(document, lambda rewrite: _built(run, document, rewrite), folder, tuple(trees))
    written = _written(template_file(run.project, document, BUILT), built)

    def location(rewrite: Rewrite) -> Location | None:
        return packaged.get(rewrite.target) if rewrite.kind == "stack" else _uploaded(run, rewrite)

    sent = shared_layers.sent(run)
    zips = shared_layers.added(run, document, lambda name: _shared_location(run.project, sent.get(name)))
    text = splice(document, location, folder, tuple(zips))
    path = template_file(run.project, document, PACKAGED)
    written |= _written(path, text)
    packaged[document.stack] = _put_stack(run, document, path)
    return written


def _put_stack(run: Run, document: Document, path: str) -> Location:
    if not document.stack or not destination.bucket(run.project):
        return FileLocation(path)
    sha256 = sha256_of(path)
    extension = posixpath.splitext(document.path)[1]
    sent = put(run, destination.artifact_key(run.project, sha256, extension), path, sha256, os.path.getsize(path))
    location = _location(run.project, sent.location)
    return replace(location, region=store(run).region) if isinstance(location, S3Location) else location


NO_LOCATION = ("handler", "node_options")
"""Kinds of rewrites of what a bundle changes beside its code."""


def _bundled(run: Run, rewrite: Rewrite) -> Text | None:
    """The Handler or NODE_OPTIONS of a function that was bundled; None when it stays as it is written."""
    if rewrite.target in run.index.pinned:
        return None
    function, build = run.index.functions[rewrite.target], run.index.plan.build_of(rewrite.target)
    if build.name in run.index.unbuildable:
        return None
    if rewrite.kind == "node_options":
        has_maps = json.loads(dict(build.key.options).get("sourcemap", "false"))
        return Text(rewrite.text) if has_maps else None
    handler = handler_check.deployed(run, function)
    return Text(handler) if handler != function.handler else None


def _built(run: Run, document: Document, rewrite: Rewrite) -> Location | None:
    """For sam local: trees and nested templates in the build folder, assets where they are."""
    if rewrite.kind == "kept":
        return None
    if rewrite.kind in NO_LOCATION:
        return _bundled(run, rewrite)
    if rewrite.kind == "path":
        return FileLocation(run.project.path(rewrite.target))
    if rewrite.kind == "artifact" and rewrite.target in run.index.pinned:
        return _uploaded(run, rewrite)
    if rewrite.kind == "artifact":
        name = run.index.plan.build_of(rewrite.target).name
        return FileLocation(run.project.tree(name)) if name not in run.index.unbuildable else None
    if rewrite.kind == "image":
        return ImageLocation(run.index.plan.image_of(rewrite.target).local_name(rewrite.target))
    if rewrite.kind == "stack":
        nested = next(d for d in run.project.service.documents if d.stack == rewrite.target)
        return FileLocation(template_file(run.project, nested, BUILT))
    planned = next(asset for asset in run.index.plan.assets if asset.name == rewrite.target)
    return FileLocation(run.project.path(planned.source))


def _uploaded(run: Run, rewrite: Rewrite) -> Location | None:
    if rewrite.kind == "kept":
        return None
    if rewrite.kind in NO_LOCATION:
        return _bundled(run, rewrite)
    if rewrite.kind == "path":
        return FileLocation(run.project.path(rewrite.target))
    if rewrite.kind == "image":
        return _image_sent(run, run.index.plan.image_of(rewrite.target), rewrite.target)
    is_build = rewrite.kind == "artifact" and rewrite.target not in run.index.pinned
    name = run.index.plan.build_of(rewrite.target).name if is_build else rewrite.target
    location = run.saved(f"upload:{name}").get("location")
    return _location(run.project, run.project.expand(location)) if location else None


def _shared_location(project: Project, sent: JsonObject | None) -> Location | None:
    return _location(project, project.expand(sent["location"])) if sent else None


def _image_sent(run: Run, image: ImageBuild, user: str) -> ImageLocation:
    """Without a repository it stays on this machine, as zips do without a bucket."""
    sent = run.saved(f"upload:{image.name}") if "upload" in image.steps else {}
    return ImageLocation(str(sent.get("location") or image.local_name(user)))


def _location(project: Project, location: str) -> Location:
    if not location.startswith("s3://"):
        return FileLocation(location)
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return S3Location(bucket, key, project.settings.region, project.settings.endpoint_url)
