"""Checkouts with a home of their own, as on other machines."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox import Ran, Sandbox

RUN = ("resolve", "compile", "copy")
"""The kinds of steps that a cache spares."""


class Clone(Sandbox):
    """A checkout with a home of its own."""

    def __init__(self, folder: Path, home: Path, **env: str) -> None:
        super().__init__(folder)
        home.mkdir(parents=True, exist_ok=True)
        self.env = {
            "LAMBDABUILD_CACHE__ENABLED": "true", "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"),
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", os.path.expanduser("~/.cache/uv")), "LOG": "/dev/null",
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup")), "GOCACHE": go_cache(), **env,
        }  # fmt: skip

    def build(self, *arguments: str, env: dict[str, str] | None = None) -> Ran:
        """As everybody's, with more patience: with an empty home every language's packages are downloaded."""
        ran = self.run("build", "--format", "json", *arguments, env={**self.env, **(env or {})}, timeout=900)
        assert ran.code == 0, ran.said
        return ran


def go_cache() -> str:
    """This machine's: Go's own packages take 30 s to compile, and nothing that a step is known by depends on it."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("GOCACHE") or os.path.join(caches, "go-build")


def spared(ran: Ran) -> list[str]:
    return sorted(event["task"] for event in ran.events if event["event"] == "restored")


def really_run(ran: Ran) -> list[str]:
    return [step for step in ran.steps if step.startswith(RUN)]
