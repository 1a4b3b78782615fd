"""Which files the template step writes, and where."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from lambdabuild.core.model import Definition, Document
from lambdabuild.engine.base.project import Project

TEMPLATE, DEPLOY, MANIFEST = "packaged-template.json", "deploy.json", "manifest.json"
CREATE, UPDATE, STATE = (
    "cloudformation-template-create-stack.json", "cloudformation-template-update-stack.json", "serverless-state.json",
)  # fmt: skip


BUILT, PACKAGED = "built-template", "packaged-template"


def template_file(project: Project, document: Document, kind: str) -> str:
    extension = posixpath.splitext(document.path)[1] or ".yaml"
    return os.path.join(project.build_dir, document.stack, kind + extension)


def outputs(project: Project) -> Iterator[str]:
    if project.service.definition is not None:
        yield from _serverless_files(project)
    for document in project.service.documents:
        yield template_file(project, document, BUILT)
        yield template_file(project, document, PACKAGED)
    yield os.path.join(project.build_dir, MANIFEST)


def names_bucket(definition: Definition) -> bool:
    given = definition.data["provider"].get("deploymentBucket")
    return bool(given.get("name") if isinstance(given, dict) else given)


def _serverless_files(project: Project) -> Iterator[str]:
    yield os.path.join(project.build_dir, TEMPLATE)
    yield os.path.join(project.build_dir, DEPLOY)
    if project.settings.serverless_dir:
        names = (
            (UPDATE, STATE)
            if project.service.definition and names_bucket(project.service.definition)
            else (CREATE, UPDATE, STATE)
        )
        yield from (os.path.join(project.path(project.settings.serverless_dir), name) for name in names)
