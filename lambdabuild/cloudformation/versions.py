"""Versions and aliases: a version changes when, and only when, the code or the configuration did."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from lambdabuild.cloudformation import layers
from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Fragment, Json
from lambdabuild.core import naming

NOT_OF_THE_VERSION = ("Code", "ReservedConcurrentExecutions", "Tags", "RecursiveLoop")
"""Properties that belong to the function and not to its versions."""


def is_versioned(context: Context, function: Lambda) -> bool:
    if function.is_at_edge:
        return True  # CloudFront calls versions only
    if function.is_durable:
        return True  # an execution goes on with the version that it began with
    given = function.config.get("versionFunction")
    return bool(context.provider.get("versionFunctions", True) if given is None else given)


def compile(context: Context, function: Lambda, properties: Mapping[str, Any], code_sha256: str) -> Fragment:
    """Return the version of a function whose properties are final, its output, and the alias that keeps it warm."""
    versioned = is_versioned(context, function)
    if not versioned and not function.alias:
        return Fragment()
    logical_id = naming.version(function.key, _digest(context, properties, code_sha256))
    own: Json = {"FunctionName": {"Ref": function.logical_id}}
    own |= {"CodeSha256": code_sha256} if code_sha256 else {}
    own |= {"Description": function.config["description"]} if function.config.get("description") else {}
    version: Json = {"Type": "AWS::Lambda::Version", "Properties": own}
    version |= {"DeletionPolicy": "Retain"} if versioned else {}
    output = {"Description": "Current Lambda function version", "Value": {"Ref": logical_id}}
    resources = {logical_id: version}
    if function.alias:
        resources[function.alias_id] = _alias(function, logical_id)
    return Fragment(resources, {naming.version_output(function.key): output}, where=function.where)


def _alias(function: Lambda, version: str) -> Json:
    properties: Json = {
        "FunctionName": {"Ref": function.logical_id},
        "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
        "Name": function.alias,
    }
    if function.config.get("provisionedConcurrency"):
        count = function.config["provisionedConcurrency"]
        properties["ProvisionedConcurrencyConfig"] = {"ProvisionedConcurrentExecutions": count}
    return {"Type": "AWS::Lambda::Alias", "Properties": properties, "DependsOn": function.logical_id}


def _digest(context: Context, properties: Mapping[str, Any], code_sha256: str) -> str:
    """Return base64 of the sha256 of the code's digest, those of the service's own layers, and the properties.

    An image has no zip, so its address in ``Code`` is used instead.
    """
    known = {layers.logical_id(context, key): key for key in context.layers}
    references = [item["Ref"] for item in properties.get("Layers") or () if isinstance(item, dict) and "Ref" in item]
    used = [(reference, known[reference]) for reference in references if reference in known]
    is_image = properties.get("PackageType") == "Image"
    own = {
        key: value for key, value in properties.items() if key not in NOT_OF_THE_VERSION or (key == "Code" and is_image)
    }
    own["layerConfigurations"] = [_layer(context, reference, key) for reference, key in used]
    digest = hashlib.sha256(b"" if is_image else code_sha256.encode())
    for key in sorted({key for _, key in used}):
        digest.update(context.artifacts[f"layer:{key}"].code_sha256.encode())
    digest.update(json.dumps(_in_order(own), separators=(",", ":"), ensure_ascii=False).encode())
    return base64.b64encode(digest.digest()).decode()


def _layer(context: Context, reference: str, key: str) -> Json:
    properties = dict(layers.compile(context, key).resources[reference]["Properties"])
    properties["Content"] = {name: value for name, value in properties["Content"].items() if name != "S3Key"}
    return {"name": key, "ref": reference, "properties": properties}


# How the root collation of Unicode orders ASCII: punctuation, digits, letters, and a before A before b.
# https://www.unicode.org/charts/collation/
_ORDER = {
    character: rank
    for rank, character in enumerate("_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz")
}


@cache
def _collated(key: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    folded = key.lower()
    return tuple(_ORDER.get(character, 128 + ord(character)) for character in folded), tuple(c.isupper() for c in key)


def _in_order(value: object) -> Any:
    """Sort mappings as the Serverless Framework does for its hashes (JavaScript's localeCompare)."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value, key=_collated)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value
