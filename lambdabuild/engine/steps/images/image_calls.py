"""Calls to the engine about images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.docker import engine_api
from lambdabuild.docker.engine_api import ApiClient, Refused
from lambdabuild.engine.base.project import Project
from lambdabuild.plan.types import ImageBuild

MARK = "lambdabuild/image"
"""The repository, on this machine only, whose tags are fingerprints."""


def id_of(engine: ApiClient, name: str) -> str | None:
    """The engine's digest of an image, None when it has none of that name."""
    try:
        with engine_api.refusals():
            return str(engine.inspect_image(name)["Id"])
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def timeout(project: Project) -> float | None:
    return project.settings.tool_timeout_seconds or None


def follow(events: Iterable[JsonObject]) -> tuple[list[str], Json]:
    """All lines and the last facts of a stream of the engine's. Raises Refused for an error that is in it."""
    lines, facts = list[str](), dict[str, Any]()
    for event in events:
        lines += str(event.get("stream") or "").splitlines()
        facts |= event.get("aux") or {}
        if "error" in event:
            raise Refused(str(event["error"]), lines=tuple(line for line in lines if line.strip()))
    return lines, facts


def users_of(image: ImageBuild) -> str:
    return f"the image of {image.name!r}"


def untag(engine: ApiClient, name: str, *, keep_layers: bool = True) -> None:
    """Take a name away, and with the last one the image; its layers may stay for the next build."""
    try:
        with engine_api.refusals():
            engine.remove_image(name, noprune=keep_layers)
    except Refused as refused:
        if refused.status not in (404, 409):  # it is not there; a container uses it
            raise
