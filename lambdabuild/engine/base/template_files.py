"""Which files the template step writes, and where."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from lambdabuild.core.model import Definition, Document
from lambdabuild.engine.base.site import Site

TEMPLATE, DEPLOY, MANIFEST = "packaged-template.json", "deploy.json", "manifest.json"
CREATE, UPDATE, STATE = (
    "cloudformation-template-create-stack.json", "cloudformation-template-update-stack.json", "serverless-state.json",
)  # fmt: skip


BUILT, PACKAGED = "built-template", "packaged-template"


def template_file(site: Site, document: Document, kind: str) -> str:
    extension = posixpath.splitext(document.path)[1] or ".yaml"
    return os.path.join(site.build_dir, document.stack, kind + extension)


def outputs(site: Site) -> Iterator[str]:
    if site.service.definition is not None:
        yield from _serverless_files(site)
    for document in site.service.documents:
        yield template_file(site, document, BUILT)
        yield template_file(site, document, PACKAGED)
    yield os.path.join(site.build_dir, MANIFEST)


def names_bucket(definition: Definition) -> bool:
    given = definition.data["provider"].get("deploymentBucket")
    return bool(given.get("name") if isinstance(given, dict) else given)


def _serverless_files(site: Site) -> Iterator[str]:
    yield os.path.join(site.build_dir, TEMPLATE)
    yield os.path.join(site.build_dir, DEPLOY)
    if site.settings.serverless_dir:
        names = (
            (UPDATE, STATE)
            if site.service.definition and names_bucket(site.service.definition)
            else (CREATE, UPDATE, STATE)
        )
        yield from (os.path.join(site.path(site.settings.serverless_dir), name) for name in names)
