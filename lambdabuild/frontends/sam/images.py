"""A function of a template whose code is an image: built, loaded from an archive, or left as it is."""

from __future__ import annotations

from typing import Any

from lambdabuild.core.errors import BadTemplate, NoSource, Unresolvable
from lambdabuild.core.model import Archive, DockerBuild, Image
from lambdabuild.core.spans import Node
from lambdabuild.frontends.images import PLATFORMS, docker_build
from lambdabuild.frontends.intrinsics import NO_VALUE, Unresolved, Value, first_unresolved, resolve
from lambdabuild.frontends.sam import cdk, rewrites
from lambdabuild.frontends.sam.code_resource import CodeResource, architecture

ARCHIVES = (".tar", ".tar.gz", ".tgz")
TO_BUILD = ("Dockerfile", "DockerContext")
"""Metadata that says that an image is to be built.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build.html
"""


def is_image(resource: CodeResource) -> bool:
    """Return whether a function's code is an image."""
    return resource.text("PackageType") == "Image" or _in_code(resource) is not None


def read(resource: CodeResource) -> None:
    """Read a SAM or CloudFormation function: built as its Metadata says, loaded from an archive, or left as it is."""
    uri = _uri(resource)
    skips = str(resource.meta("SkipBuild")).lower() == "true"
    if not skips and cdk.docker(resource.metadata) is not None:
        _add(resource, Image(resource.template.full(resource.name), _docker_build(resource), resource.where))
    elif not skips and any(resource.metadata.get(key) is not None for key in TO_BUILD):
        tag = _text(resource, "DockerTag") or "latest"
        _add(resource, Image(resource.template.full(resource.name), _docker_build(resource), resource.where, tag))
    elif uri is None:
        raise BadTemplate(
            f"{resource.label} is an image and names none",
            where=resource.where,
            help="add ImageUri, or Metadata with Dockerfile and DockerContext",
        )
    elif not isinstance(uri, str):
        rewrites.skip(resource, "its image is known at deployment only")
    else:
        _named(resource, uri)


def _named(resource: CodeResource, uri: str) -> None:
    path = resource.template.local_path(uri)
    if resource.template.files.kind(path) == "file":
        _add(resource, Image(resource.template.full(resource.name), Archive(path), resource.where))
    elif uri.lower().endswith(ARCHIVES):
        raise NoSource(
            f"{path} of {resource.label} does not exist",
            where=resource.where,
            help="make it first, or correct the path; it is relative to the template's folder",
        )
    else:
        rewrites.skip(resource, "its image is in a registry already")


def _add(resource: CodeResource, image: Image) -> None:
    resource.reading.images.append(image)
    rewrites.add(resource, "image", "ImageUri" if resource.shape.form == "uri" else "Code")


def _in_code(resource: CodeResource) -> Node | None:
    code = resource.own("Code")
    return code.get("ImageUri") if code is not None else None


def _uri(resource: CodeResource) -> Value:
    code = resource.own("Code")
    plain = code if code is not None and isinstance(code.value, str) else None
    node = resource.property("ImageUri") if resource.shape.form == "uri" else _in_code(resource) or plain
    value = resolve(node, resource.template.names) if node is not None else None
    return None if value is NO_VALUE or value == "" else value


def _docker_build(resource: CodeResource) -> DockerBuild:
    where = resource.metadata.span
    context = resource.template.local_path(_text(resource, "DockerContext") or ".")
    arguments = _known(resource, "DockerBuildArgs")
    options = _known(resource, "DockerBuildExtraParams")
    platform = PLATFORMS[architecture(resource, resource.value("Architectures"), "Architectures")]
    if arguments is not None and not isinstance(arguments, dict):
        raise _bad(resource, "DockerBuildArgs", "not a mapping", "write NAME: value")
    if options is not None and not isinstance(options, list | str):
        raise _bad(resource, "DockerBuildExtraParams", "not a list", "write a list of texts")
    return docker_build(
        resource.label,
        where,
        resource.template.files,
        context=context,
        dockerfile=_text(resource, "Dockerfile"),
        platform=platform,
        arguments=arguments or {},
        target=_text(resource, "DockerBuildTarget"),
        options=[str(option) for option in options] if isinstance(options, list) else (options or "").split(),
    )


def _text(resource: CodeResource, key: str) -> str:
    value = _known(resource, key)
    if isinstance(value, dict | list):
        raise _bad(resource, key, "not text", "write a text")
    return "" if value is None else str(value)


def _known(resource: CodeResource, key: str) -> Any:
    of_cdk = cdk.docker(resource.metadata)
    if of_cdk is not None:
        return of_cdk[key]
    value = resource.meta(key)
    missing = first_unresolved(value) if not isinstance(value, Unresolved) else value
    if missing is not None:
        raise Unresolvable(
            f"the {key} of {resource.label} is not known: {missing.reason}",
            where=missing.where,
            help=missing.remedy,
        )
    return None if value is NO_VALUE else value


def _bad(resource: CodeResource, key: str, what: str, help: str) -> BadTemplate:
    node = resource.metadata.get(key)
    return BadTemplate(
        f"the {key} of {resource.label} is {what}", where=node.span if node is not None else resource.where, help=help
    )
