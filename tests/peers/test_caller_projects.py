"""Projects of each of Lambda Builders' workflows through `lambdabuild rpc` and through Lambda Builders itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caller_projects import OFTEN, WORKFLOWS, Call, Workflow
from lambda_builders import esbuild, peer, tools

pytestmark = pytest.mark.slow

__all__ = ["esbuild", "peer", "tools"]

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("answer_requests.py")
PATHS = ("source_dir", "artifacts_dir", "scratch_dir", "manifest_path", "dependencies_dir")
REASON = re.compile(
    r"^(\w+:\w+ - )?((?:Bundler|Make|Maven|Gradle|Builder|NPM|Esbuild|Cargo Lambda|Dotnet CLI) [Ff]ailed: )?(.*)",
    re.DOTALL,
)
SAME_WORDS = re.compile(
    r"Invalid requirement: '[^']*'|entry_points (not set|must be a list|must not be empty) \(.*\)|No matching version found for \S+"
    r"|is not supported.*|entry point|Unable to find a workflow.*|unable to find the location of the dependencies.*"
)
"""What of an error's text callers look for, besides how it begins."""


def slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def requests(workflow: Workflow, call: Call, place: Path) -> Iterator[dict[str, Any]]:
    options = {"build_logical_id": "Fn"} if workflow.capability[0] == "provided" else {}
    if workflow.capability[0] == "go":
        options = {"artifact_executable_name": "fn"}
    language, manager = workflow.capability
    params = {
        "__protocol_version": "0.3",
        "capability": {"language": language, "dependency_manager": manager, "application_framework": None},
        "source_dir": call.source, "artifacts_dir": "artifacts", "scratch_dir": "scratch",
        "manifest_path": call.manifest or f"{call.source}/{workflow.manifest}", "runtime": workflow.runtime,
        "optimizations": None, "options": options, **call.more,
    }  # fmt: skip
    for files, more in ((call.files, {}), *call.again):
        asked = {**params, **more}
        asked |= {name: str(place / asked[name]) for name in PATHS if asked.get(name)}
        if "working_directory" in asked["options"]:
            asked["options"] = {
                **asked["options"],
                "working_directory": str(place / asked["options"]["working_directory"]),
            }
        yield {"params": asked, "cwd": str(place), "env": dict(call.env), "files": dict(files)}


def answered(side: str, python: Path, workflow: Workflow, place: Path, path: str) -> dict[str, dict[str, Any]]:
    """What one of the two says to every call of a workflow, the last request of each; its folders stay."""
    asked = []
    for name, call in workflow.calls.items():
        folder = place / side / slug(name)
        folder.mkdir(parents=True)
        asked.append((name, list(requests(workflow, call, folder))))
    env = {
        **os.environ,
        "PATH": path,
        "GRADLE_OPTS": "-Dorg.gradle.daemon=false",
        "PYTHONPATH": str(ROOT) if side == "ours" else "",
    }
    done = subprocess.run(
        [str(python), str(WORKER), side], input=json.dumps([one for _, some in asked for one in some]), env=env,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = iter(json.loads(done.stdout))
    return {name: [next(answers) for _ in some][-1] for name, some in asked}


def told(response: Mapping[str, Any]) -> tuple[Any, ...]:
    """How a response begins, and what callers look for in it."""
    if "result" in response:
        return ("result",)
    found = REASON.match(response["error"]["message"])
    assert found
    words = SAME_WORDS.search(found[3])
    return response["error"]["code"], found[1], found[2], words[0] if words else ""


def files(place: Path) -> set[str]:
    """All files below the folders of a call but the scratch folder; links to folders as what they are."""
    found = set()
    for folder in ("src", "app", "manifest", "artifacts", "dependencies"):
        for parent, folders, names in os.walk(place / folder):
            links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
            base = os.path.relpath(parent, place)
            found |= {f"{base}/{name}" for name in names}
            found |= {
                f"{base}/{name} -> {os.path.relpath(os.path.realpath(os.path.join(parent, name)), place)}"
                for name in links
            }
    return found


def differences(workflow: Workflow, place: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name, call in workflow.calls.items():
        known = {**workflow.known, **call.known}
        if told(ours[name]["response"]) != told(theirs[name]["response"]) and "answer" not in known:
            yield f"{name}: {ours[name]['response']}\n      {theirs[name]['response']}"
        if "error" in theirs[name]["response"]:
            continue
        found = files(place / "ours" / slug(name)) ^ files(place / "theirs" / slug(name))
        there = files(place / "ours" / slug(name))
        for file in sorted(file for file in found if not any(re.fullmatch(pattern, file) for pattern in known)):
            yield f"{name}: {'+' if file in there else '-'} {file}"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_callers_projects_get_the_same_answers_and_files(name: str, peer: Path, tools: str, tmp_path: Path) -> None:
    workflow = WORKFLOWS[name]
    if os.environ.get("LAMBDABUILD_CALLERS") != "all":
        workflow = replace(workflow, calls={often: workflow.calls[often] for often in OFTEN[name]})
    sides = {"ours": Path(sys.executable), "theirs": peer.parent / "python"}
    with ThreadPoolExecutor() as pool:
        running = {
            side: pool.submit(answered, side, python, workflow, tmp_path, tools) for side, python in sides.items()
        }
        ours, theirs = (running[side].result() for side in sides)

    assert "\n".join(differences(workflow, tmp_path, ours, theirs)) == ""
