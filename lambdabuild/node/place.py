"""Prepare the folder that a tool installs in: a copy of what it reads, so that nothing of the user's is written to."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from typing import Any

from lambdabuild.aws import codeartifact
from lambdabuild.core import regular
from lambdabuild.rule_api import Job

CPUS = {"x86_64": "x64", "arm64": "arm64"}
"""Processors as package.json files name them."""
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
REGISTRY = re.compile(
    r"""(?m)^\s*(?:@[\w.-]+:)?(?:registry|npmRegistryServer)["']?\s*[=:\s]\s*["']?https?://([^/\s"']+)([^\s"']*)"""
)
VARIABLE = re.compile(r"\$\{(\w+)(?:\?|:?-[^}]*)?\}")


def is_native(job: Job) -> bool:
    """Return whether packages for the machine that tools run on fit the function, too."""
    system, processor = job.runner.machine
    return (system, MACHINES.get(processor)) == ("Linux", job.target.architecture)


def present(folder: str, names: Iterable[str]) -> list[str]:
    """Which of these files and folders are there."""
    return [path for name in names if os.path.exists(path := os.path.normpath(os.path.join(folder, name)))]


def mirrored(job: Job, folder: str, paths: Iterable[str]) -> str:
    """Return a folder in scratch, with copies of files and folders at the same relative paths. It may have a part of
    them or none: it holds only those that were named."""
    paths = sorted(set(paths))
    top = os.path.commonpath([folder, *paths])
    for path in paths:
        target = os.path.join(job.scratch, "tree", os.path.relpath(path, top))
        if os.path.isdir(path):
            leave_out = shutil.ignore_patterns("node_modules", ".git")
            shutil.copytree(path, target, ignore=leave_out, ignore_dangling_symlinks=True, dirs_exist_ok=True)
        elif os.path.exists(path):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
    work = os.path.normpath(os.path.join(job.scratch, "tree", os.path.relpath(folder, top)))
    os.makedirs(work, exist_ok=True)
    return work


def edited(file: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a copy of a package.json."""
    with open(file, encoding="utf-8-sig", opener=regular.opener) as stream:
        data = regular.json(stream.read())
    change(data)
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(data, stream, indent=2)


def variables(job: Job, *files: str) -> dict[str, str]:
    """Return the variables that settings files name, such as a registry's token, with their values.

    A registry of CodeArtifact's needs none: its token is asked for, and given to the tool as AWS's pages have it
    (${CODEARTIFACT_AUTH_TOKEN}) and under the registry's own name, unless the files have one.
    """
    texts = [_text(file) for file in map(os.path.expanduser, files)]
    names = {name for text in texts for name in VARIABLE.findall(text)}
    result = {name: os.environ[name] for name in sorted(names) if name in os.environ}
    for host, path in {} if job.offline else dict.fromkeys(pair for text in texts for pair in REGISTRY.findall(text)):
        place = f"//{host}{path.rstrip('/')}/"
        given = re.compile(rf"{re.escape(place)}?:_(authToken|auth|password)\s*=\s*(?!\$)")
        if codeartifact.is_host(host) and not any(given.search(text) for text in texts):
            token = codeartifact.token(host)
            result |= {codeartifact.VARIABLE: token, f"npm_config_{place}:_authToken": token}
    return result


def _text(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace", opener=regular.opener) as stream:
            return stream.read()
    except OSError:
        return ""
