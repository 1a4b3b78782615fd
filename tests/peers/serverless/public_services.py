"""Whole services in the manner of public ones, each a file or a folder of ``public_style/``, packaged by both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.serverless.conftest import Peer
from sandbox import Sandbox

from lambdabuild.project_loader import compile_text

FOLDER = Path(__file__).with_name("public_style")
SERVICES = {path.name.partition(".")[0]: path for path in sorted(FOLDER.iterdir())}

WITHOUT_TEMPLATE = (
    "serverless-offline", "serverless-prune-plugin", "serverless-domain-manager", "serverless-step-functions",
)  # fmt: skip
"""Plugins that change no template, or that ``plugins_ignored`` names: a class without hooks stands for them there."""


@dataclass(frozen=True)
class Packaged:
    """One service's template as either makes it."""

    ours: dict[str, Any]
    theirs: dict[str, Any]


def packager(peer: Peer, root: Path, node_modules: Path, cloud: str) -> Callable[[str], Packaged]:
    """Package a service by both when it is asked for first; ``cloud`` is what node loads to ask no real AWS."""
    known: dict[str, Packaged] = {}

    def package(name: str) -> Packaged:
        if name not in known:
            known[name] = _package(_project(root / name, SERVICES[name], node_modules), peer, cloud)
        return known[name]

    return package


def _project(folder: Path, service: Path, node_modules: Path) -> Sandbox:
    """The service in a folder, with what it has built before and what a node_modules would have."""
    files = {"serverless.yml": service}
    if service.is_dir():
        files = {str(path.relative_to(service)): path for path in service.rglob("*") if path.is_file()}
    texts = {name: path.read_text() for name, path in files.items()}
    place = Sandbox(folder).write({"app.py": "", "handler.js": "", "ready.jar": "jar", "ready.zip": "zip", **texts})
    if "serverless-iam-roles-per-function" in "".join(texts.values()):
        place.path("node_modules").symlink_to(node_modules)
    for plugin in WITHOUT_TEMPLATE:
        if plugin in "".join(texts.values()):
            place.write({f"node_modules/{plugin}/index.js": "module.exports = class {};\n"})
    return place


def _package(place: Sandbox, peer: Peer, cloud: str) -> Packaged:
    text, error = compile_text(str(place.folder), {"stage": "dev", "region": "us-east-1"}, lambda line: None)
    assert error is None, error
    theirs = peer(place, env={"NODE_OPTIONS": f"--require {cloud}"})
    assert theirs.code == 0, theirs.said
    written = place.path(".serverless/cloudformation-template-update-stack.json").read_text()
    return Packaged(json.loads(text), json.loads(written))
