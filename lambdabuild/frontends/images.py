"""Functions whose code is an image: what it is built from, as templates of both kinds say it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lambdabuild.core.errors import BadImage, BadTemplate, NoSource, Unresolvable
from lambdabuild.core.model import Archive, DockerBuild, Image
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.intrinsics import NO_VALUE, Unresolved, Value, first_unresolved, resolve

if TYPE_CHECKING:
    from lambdabuild.frontends.sam.code_resource import CodeResource

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
"""Lambda's architectures as Docker says them."""

ARCHIVES = (".tar", ".tar.gz", ".tgz")
DOCKERFILE = "Dockerfile"
TO_BUILD = ("Dockerfile", "DockerContext")
"""Metadata that says that an image is to be built.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build.html
"""


class Files(Protocol):
    def kind(self, path: str) -> Any: ...


def is_image(resource: CodeResource) -> bool:
    """Return whether a function's code is an image."""
    return resource.text("PackageType") == "Image" or _in_code(resource) is not None


def read(resource: CodeResource) -> None:
    """Read a SAM or CloudFormation function: built as its Metadata says, loaded from an archive, or left as it is."""
    uri = _uri(resource)
    skips = str(resource.meta("SkipBuild")).lower() == "true"
    if not skips and any(resource.metadata.get(key) is not None for key in TO_BUILD):
        tag = _text(resource, "DockerTag") or "latest"
        _add(resource, Image(resource.template.full(resource.name), _docker_build(resource), resource.where, tag))
    elif uri is None:
        raise BadTemplate(
            f"{resource.label} is an image and names none",
            where=resource.where,
            help="add ImageUri, or Metadata with Dockerfile and DockerContext",
        )
    elif not isinstance(uri, str):
        resource.skip("its image is known at deployment only")
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
        resource.skip("its image is in a registry already")


def _add(resource: CodeResource, image: Image) -> None:
    resource.found.images.append(image)
    resource.rewrite("image", "ImageUri" if resource.shape.form == "uri" else "Code")


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
    architecture = resource.architecture(resource.value("Architectures"), "Architectures")
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
        platform=PLATFORMS[architecture],
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


# both kinds of template


def docker_build(
    who: str,
    where: Span,
    files: Files,
    *,
    context: str,
    dockerfile: str,
    platform: str,
    arguments: Mapping[str, Any],
    target: str = "",
    options: Sequence[str] = (),
    cache_from: Sequence[str] = (),
    provenance: str = "",
    known_as: str = "",
) -> DockerBuild:
    """Return how an image is built. ``options`` for arguments, target and platform win over the parameters.

    Raises NoSource (LB302) when the folder does not exist, BadImage (LB810) when the Dockerfile does not.
    """
    if files.kind(context) != "folder":
        raise NoSource(
            f"the folder {context}/ from which the image of {who} is built does not exist or is not a folder",
            where=where,
            help="correct the path; it is relative to the template's folder",
        )
    file = posixpath.normpath(posixpath.join(context, dockerfile or DOCKERFILE))
    if files.kind(file) != "file":
        raise BadImage(
            f"{file}, from which the image of {who} is built, does not exist or is not a file",
            where=where,
            help="correct the name; it is relative to the folder that the image is built from",
            known_as=known_as,
        )
    said, rest = _said(options)
    given = {str(name): _argument(value) for name, value in arguments.items()}
    for text in said.get("--build-arg", ()):
        name, _, value = text.partition("=")
        given[name] = value
    return DockerBuild(
        context=context,
        dockerfile=file,
        platform=said.get("--platform", [platform])[-1],
        arguments=tuple(sorted(given.items())),
        target=said.get("--target", [target])[-1],
        options=tuple(rest),
        cache_from=(*cache_from, *said.get("--cache-from", ())),
        provenance=said.get("--provenance", [provenance])[-1],
    )


OF_DOCKER_BUILD = ("--build-arg", "--platform", "--target", "--cache-from", "--provenance")


def _said(options: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options that a DockerBuild has fields for, and the others.

    A build argument without a value takes that of the environment, so it is one of the others.
    """
    said, rest = dict[str, list[str]](), list[str]()
    # One text may hold an option and its value: "--network host".
    words = iter([word for option in options for word in (option.split(None, 1) if option[:1] == "-" else [option])])
    for word in words:
        name, sign, value = word.partition("=")
        if name not in OF_DOCKER_BUILD:
            rest.append(word)
            continue
        value = value if sign else next(words, "")
        if name == "--build-arg" and "=" not in value:
            rest += [name, value]
        else:
            said.setdefault(name, []).append(value)
    return said, rest


def _argument(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
