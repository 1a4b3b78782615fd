"""The smallest project around a rule's example, and calls of what was built."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import invoke
from sandbox import Sandbox


def function(source: str = "src", runtime: str = "python3.11", handler: str = "app.handler", **more: str) -> str:
    """A function called Example, as YAML; ``more`` are properties, ``metadata`` is Metadata."""
    metadata = more.pop("metadata", "")
    properties = {"Runtime": runtime, "Handler": handler, "CodeUri": source, **more}
    lines = "".join(f"      {key}: {value}\n" for key, value in properties.items())
    return f"  Example:\n    Type: AWS::Serverless::Function\n{metadata}    Properties:\n{lines}"


def template(*resources: str) -> str:
    return "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(resources)


def example(project: Sandbox, rule_folder: Path, resource: str) -> Sandbox:
    """The rule's example as the folder src/ of a project."""
    shutil.copytree(rule_folder / "example", project.path("src"), dirs_exist_ok=True)
    return project.write({"template.yaml": template(resource)})


def call_python(project: Sandbox, event: object, name: str = "Example", handler: str = "app.handler") -> Any:
    """Import the handler from the unzipped artifact in a clean interpreter and call it."""
    return invoke.python(unzipped(project, name), event, handler)


def call_node(project: Sandbox, event: object, name: str = "Example", module: str = "index.js") -> Any:
    return invoke.node(unzipped(project, name), event, module)


def call_bootstrap(project: Sandbox, event: object, name: str = "Example") -> Any:
    """Start the artifact's bootstrap and give it one event."""
    return invoke.bootstrap(unzipped(project, name), event)


def unzipped(project: Sandbox, name: str = "Example") -> Path:
    """The artifact in a folder of its own."""
    return project.unzip(name, project.folder.with_name(f"{project.folder.name}-unzipped") / name)


def packages(project: Sandbox, name: str = "Example") -> Mapping[str, str]:
    """``{package: version}`` of a function, as the manifest tells."""
    return {item["name"]: item["version"] for item in project.manifest["functions"][name]["packages"]}
