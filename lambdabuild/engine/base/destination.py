"""The place of a project's artifacts: the bucket, its region, and the key of an artifact."""

from __future__ import annotations

import json

from lambdabuild.engine.base.project import Project


def bucket(project: Project) -> str:
    """Return the bucket for artifacts: the setting, otherwise what a serverless.yml names, unless a folder is set."""
    definition = project.service.definition
    if project.settings.bucket or definition is None or project.settings.store:
        return project.settings.bucket
    described = definition.data["provider"].get("deploymentBucket")
    return str((described.get("name") or "") if isinstance(described, dict) else described or "")


def region(project: Project) -> str:
    """Return the region of the bucket: the setting, otherwise the serverless.yml's."""
    definition = project.service.definition
    return project.settings.region or (definition.region if definition is not None else "")


def artifact_key(project: Project, sha256: str, extension: str = ".zip") -> str:
    """Return the key under which a store has an artifact: nothing but its content decides it."""
    definition = project.service.definition
    return f"{sha256}{extension}" if definition is None else definition.key(sha256, extension)


def identity(project: Project) -> str:
    """Return as text where artifacts go, without secrets."""
    settings = project.settings
    if not bucket(project):
        return f"folder {settings.store or '.store'}"
    place = f"s3://{bucket(project)}/{settings.prefix} {settings.region} {settings.endpoint_url}"
    return f"{place} {settings.kms_key_id} {json.dumps(dict(settings.tags), sort_keys=True)}".rstrip()
