"""Layers: the version, who may use it, and the outputs by which the next build knows what is deployed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lambdabuild.cloudformation.context import Artifact, Context
from lambdabuild.cloudformation.fragment import Fragment, Json
from lambdabuild.core import naming

PROPERTIES = {
    "description": "Description", "licenseInfo": "LicenseInfo", "compatibleRuntimes": "CompatibleRuntimes",
    "compatibleArchitectures": "CompatibleArchitectures",
}  # fmt: skip


def compile(context: Context, key: str) -> Fragment:
    config, artifact = context.layers[key], context.artifacts[f"layer:{key}"]
    resource, digest = _version(context, key, artifact), layer_digest(context, key, artifact)
    retained = digest if config.get("retain") else ""
    logical_id = naming.layer(key) + retained
    if retained:
        resource["DeletionPolicy"] = "Retain"
    resources = {logical_id: resource}
    for account in config.get("allowedAccounts") or ():
        resources[naming.layer_permission(key, account) + retained] = _permission(logical_id, account, bool(retained))
    outputs: dict[str, Json] = {
        naming.layer(key) + end: {"Description": f"Current Lambda layer {word}", "Value": value}
        for end, word, value in (
            ("QualifiedArn", "version", {"Ref": logical_id}),
            ("Hash", "hash", digest),
            ("S3Key", "S3Key", artifact.key),
        )
    }
    return Fragment(resources, outputs, where=context.definition.at("layers", key))


def logical_id(context: Context, key: str) -> str:
    """Return the logical id of the layer version; that of a retained one includes its digest."""
    digest = layer_digest(context, key, context.artifacts[f"layer:{key}"])
    return naming.layer(key) + (digest if context.layers[key].get("retain") else "")


def _version(context: Context, key: str, artifact: Artifact) -> Json:
    config = context.layers[key] or {}
    properties: dict[str, Any] = {"Content": context.place(artifact), "LayerName": config.get("name") or key}
    properties |= {name: config[given] for given, name in PROPERTIES.items() if config.get(given)}
    return {"Type": "AWS::Lambda::LayerVersion", "Properties": properties}


def layer_digest(context: Context, key: str, artifact: Artifact) -> str:
    """Return the digest that decides about a new version: content and description, but not the location.

    It is the sha1 of both in hexadecimal, as stacks have it in their ``...LambdaLayerHash`` output.
    """
    resource = _version(context, key, artifact)
    del resource["Properties"]["Content"]["S3Key"]
    text = json.dumps(resource, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha1(text.encode() + artifact.code_sha256.encode(), usedforsecurity=False).hexdigest()


def _permission(layer: str, account: str, retained: bool) -> Json:
    resource: Json = {
        "Type": "AWS::Lambda::LayerVersionPermission",
        "Properties": {"Action": "lambda:GetLayerVersion", "LayerVersionArn": {"Ref": layer}, "Principal": account},
    }
    return resource | ({"DeletionPolicy": "Retain"} if retained else {})
