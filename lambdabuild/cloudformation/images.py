"""Functions whose code is an image: which one, by its digest."""

from __future__ import annotations

from typing import Any

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Json
from lambdabuild.core.errors import BadFunction
from lambdabuild.core.naming import ECR_URI

SETTINGS = {"command": "Command", "entryPoint": "EntryPoint", "workingDirectory": "WorkingDirectory"}


def of(context: Context, function: Lambda) -> tuple[str, str, Json]:
    """Return the address with the digest, the digest in hexadecimal, and ImageConfig if there is one.

    A tag says nothing about the content, so what it refers to is an artifact like an image that was built.
    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
    """
    given = function.config["image"]
    uri = _uri(context, function, given)
    written = ECR_URI.match(uri)
    if written is None or not written["digest"]:
        _refuse_other_regions(context, function, written["region"] if written is not None else context.region)
        uri = context.artifacts[f"image:{function.key}"].key
    options = given if isinstance(given, dict) else {}
    config = {name: options[key] for key, name in SETTINGS.items() if options.get(key)}
    return uri, uri.partition("@sha256:")[2], {"ImageConfig": config} if config else {}


def _refuse_other_regions(context: Context, function: Lambda, region: str) -> None:
    if region != context.region:
        raise _bad(
            context,
            function,
            f"its image is in {region}, and the service in {context.region}",
            f"push it to a repository in {context.region}",
            "LAMBDA_ECR_REGION_MISMATCH_ERROR",
        )


def _uri(context: Context, function: Lambda, given: Any) -> str:
    """Return the address that is written, or the folder of an image that is built."""
    if isinstance(given, dict):
        if bool(given.get("uri")) == bool(given.get("name")):
            word = "both a uri and a name" if given.get("uri") else "neither a uri nor a name"
            raise _bad(
                context,
                function,
                f"its image has {word}",
                "give one of them",
                f"FUNCTION_IMAGE_{'BOTH' if given.get('uri') else 'NEITHER'}_URI_{'AND' if given.get('uri') else 'NOR'}"
                "_NAME_DEFINED_ERROR",
            )
        given = given.get("uri") or given["name"]
    if ECR_URI.match(given):
        return str(given)
    return _named(context, function, given)


def _named(context: Context, function: Lambda, name: str) -> str:
    known = (context.provider.get("ecr") or {}).get("images") or {}
    if name not in known:
        raise _bad(
            context,
            function,
            f"its image {name!r} is not in provider.ecr.images",
            f"there are: {', '.join(known) or 'none'}",
            "REFERENCED_FUNCTION_IMAGE_NOT_DEFINED_IN_PROVIDER",
        )
    image = known[name]
    uri, path = (image.get("uri"), image.get("path")) if isinstance(image, dict) else (image, None)
    if isinstance(image, str) and not ECR_URI.match(image):
        uri, path = None, image
    if bool(uri) == bool(path):
        word = "both a uri and a path" if uri else "neither a uri nor a path"
        raise _bad(
            context,
            function,
            f"the image {name!r} has {word}",
            "give one of them",
            f"ECR_IMAGE_{'BOTH' if uri else 'NEITHER'}_URI_{'AND' if uri else 'NOR'}_PATH_DEFINED_ERROR",
        )
    if uri and isinstance(image, dict):
        for key in ("buildArgs", "cacheFrom", "platform", "buildOptions", "provenance"):
            if image.get(key):
                raise _bad(
                    context,
                    function,
                    f"the image {name!r} has both a uri and {key}, which is for building",
                    "remove one of them",
                    f"ECR_IMAGE_BOTH_URI_AND_{key.upper()}_DEFINED_ERROR",
                )
    return str(uri or path)


def _bad(context: Context, function: Lambda, words: str, help: str, known_as: str) -> BadFunction:
    where = context.definition.at("functions", function.key, "image")
    return BadFunction(f"function {function.key!r}: {words}", where=where, help=help, known_as=known_as)
