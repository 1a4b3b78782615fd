"""The compile step of the Python rules: bytecode for the target's Python, the same on every machine.

Unchecked-hash files (PEP 552) do not look at the source's time, which a zip does not keep.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile

from lambdabuild.core.errors import ToolFailed, ToolMissing
from lambdabuild.python import targets
from lambdabuild.python.wheels import native
from lambdabuild.rule_api import Archive, Folder, Job, Result

PLACES = {"function": "/var/task", "layer": "/opt/python"}
"""The folder where Lambda unpacks an artifact; tracebacks name it."""


def compile_all(job: Job) -> Result:
    """Write a ``__pycache__`` next to every module of source and dependencies, if the module compiles."""
    platform = targets.platform_of(job.target.runtime, job.target.architecture, job.who)
    python = _python(job, platform)
    tree = os.path.join(job.scratch, "tree")
    os.makedirs(tree)
    for part in (part for step in ("resolve", "package") if step in job.earlier for part in job.earlier[step].parts):
        _unpack(part, tree)
    below, _ = job.parent_folder(job.target.options.get("parent_python_packages"))
    for name in job.files:
        if name.endswith(".py"):
            _put(os.path.join(job.target.source, name), os.path.join(tree, below, name))
    command = [python, "-I", "-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    notes: tuple[str, ...] = ()
    try:
        job.run([*command, "-s", tree, "-p", PLACES[job.target.kind], tree])
    except ToolFailed as error:
        broken = sorted(
            {line.split("'")[1] for line in error.tail.splitlines() if line.startswith("*** Error compiling")}
        )
        if not broken:
            raise
        notes = (f"{job.target.name}: no bytecode for {', '.join(os.path.relpath(path, tree) for path in broken)}",)
    for folder, _, files in os.walk(tree):
        if os.path.basename(folder) == "__pycache__":
            for name in files:
                _put(os.path.join(folder, name), os.path.join(job.out, os.path.relpath(folder, tree), name))
    return Result(parts=(Folder(job.out),), notes=notes)


def _python(job: Job, platform: targets.Platform) -> str:
    """Return an interpreter of the target's version; any processor will do."""
    if job.use_container == "true":
        return native.interpreter(job)
    if sys.version_info[:2] == (3, platform.minor):
        return sys.executable
    try:
        executable = job.run(
            [job.tool("uv"), "python", "find", "--no-python-downloads", platform.python]
        ).stdout.strip()
    except (ToolFailed, ToolMissing) as error:
        raise ToolMissing(
            f"{job.who}: bytecode for Python {platform.python} needs that Python, which is not on this machine",
            help=f"install it (uv python install {platform.python}), or leave the setting bytecode out",
        ) from error
    return executable


def _unpack(part: Archive | Folder, tree: str) -> None:
    """Yield the modules of a part with their paths in the artifact."""
    if isinstance(part, Folder):
        shutil.copytree(part.path, tree, dirs_exist_ok=True)
        return
    with zipfile.ZipFile(part.path) as archive:
        for name in archive.namelist():
            if name.endswith(".py") and "/scripts/" not in name:
                moved = next((new + name[len(old) :] for old, new in part.moves if name.startswith(old)), name)
                target = os.path.join(tree, moved)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with archive.open(name) as source, open(target, "wb") as stream:
                    shutil.copyfileobj(source, stream)


def _put(path: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(path, target)
