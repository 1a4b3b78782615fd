"""Images that are functions' code: what they are built from, checked in the same way for every front end."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from lambdabuild.core.errors import BadImage, NoSource
from lambdabuild.core.model import DockerBuild
from lambdabuild.core.spans import Span

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
"""Lambda's architectures as Docker says them."""

DOCKERFILE = "Dockerfile"


class Files(Protocol):
    def kind(self, path: str) -> Literal["file", "folder", ""]: ...


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
    flags, rest = _said(options)
    given = {str(name): _argument(value) for name, value in arguments.items()}
    for text in flags.get("--build-arg", ()):
        name, _, value = text.partition("=")
        given[name] = value
    return DockerBuild(
        context=context,
        dockerfile=file,
        platform=flags.get("--platform", [platform])[-1],
        arguments=tuple(sorted(given.items())),
        target=flags.get("--target", [target])[-1],
        options=tuple(rest),
        cache_from=(*cache_from, *flags.get("--cache-from", ())),
        provenance=flags.get("--provenance", [provenance])[-1],
    )


OF_DOCKER_BUILD = ("--build-arg", "--platform", "--target", "--cache-from", "--provenance")


def _said(options: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options that a DockerBuild has fields for, and the others.

    A build argument without a value takes that of the environment, so it is one of the others.
    """
    flags, rest = dict[str, list[str]](), list[str]()
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
            flags.setdefault(name, []).append(value)
    return flags, rest


def _argument(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
