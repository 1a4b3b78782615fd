"""What the AWS CDK notes about an asset in a resource's Metadata, in SAM's own terms.

https://docs.aws.amazon.com/cdk/v2/guide/assets.html: ``aws:asset:path`` is where the CDK put the asset, relative to the
template, and ``aws:asset:property`` the property that names it in S3 or in a registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core.spans import Node, to_data

IMAGE = "Code.ImageUri"
PREFIX = "aws:asset:"


def asset(resource: Node, key: str) -> Node | None:
    """Return the path of the asset that a property of a resource names, None if the CDK says nothing about it."""
    metadata = resource.get("Metadata")
    path, of = (metadata.get(PREFIX + name) if metadata is not None else None for name in ("path", "property"))
    return path if of is not None and of.value == key else None


def docker(metadata: Node) -> dict[str, Any] | None:
    """Return how an image is built, as SAM's Metadata says it, None if the CDK says nothing about an image."""
    path, of = metadata.get(PREFIX + "path"), metadata.get(PREFIX + "property")
    if path is None or of is None or of.value != IMAGE:
        return None
    dockerfile, target = metadata.get(PREFIX + "dockerfile-path"), metadata.get(PREFIX + "docker-build-target")
    return {
        "DockerContext": to_data(path),
        "Dockerfile": to_data(dockerfile) if dockerfile is not None else "",
        "DockerBuildTarget": to_data(target) if target is not None else "",
        "DockerBuildArgs": _mapping(metadata, "docker-build-args"),
        "DockerBuildExtraParams": list(_options(metadata)),
    }


def _mapping(metadata: Node, name: str) -> Mapping[str, Any]:
    node = metadata.get(PREFIX + name)
    data = to_data(node) if node is not None else {}
    return data if isinstance(data, dict) else {}


def _options(metadata: Node) -> Iterator[str]:
    """Yield the options of ``docker build`` for what SAM passes over in silence."""
    for name, path in _mapping(metadata, "docker-build-contexts").items():
        yield f"--build-context={name}={path}"
    for name, source in _mapping(metadata, "docker-build-secrets").items():
        yield f"--secret=id={name},{source}"
    ssh = metadata.get(PREFIX + "docker-build-ssh")
    if ssh is not None:
        yield f"--ssh={to_data(ssh)}"
    caches = metadata.get(PREFIX + "docker-cache-from")
    for cache in to_data(caches) if caches is not None and isinstance(caches.value, list) else ():
        parameters = ",".join(f"{key}={value}" for key, value in (cache.get("params") or {}).items())
        yield f"--cache-from=type={cache['type']}" + (f",{parameters}" if parameters else "")
