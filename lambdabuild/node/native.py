"""Packages with install scripts, such as add-ons in C++: these run in the container, and what they leave is kept.

Kept in the machine's store for all projects: the folder of a package as it is after its scripts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lambdabuild.core import regular, store
from lambdabuild.core.records import replace
from lambdabuild.node import installed
from lambdabuild.rule_api import Job

SCRIPTS = ("preinstall", "install", "postinstall")
WITH_HEADERS = """\
prefix=$(dirname "$(dirname "$(command -v node)")")
[ ! -f "$prefix/include/node/node.h" ] || export npm_config_nodedir="$prefix"
exec "$@"
"""
"""node-gyp would fetch the headers of Node.js, though most images have them."""


def is_auto(job: Job) -> bool:
    """Return whether only the scripts run in the container."""
    return job.use_container == "auto" and not job.target.options.get("ignore_scripts")


def with_headers(job: Job, command: Sequence[str]) -> list[str]:
    """Return a command that may compile add-ons, wherever it runs."""
    return ["sh", "-c", WITH_HEADERS, "sh", *command] if job.runner is job.container else list(command)


def rebuild(job: Job, modules: str) -> None:
    """Run the scripts of the packages below ``modules`` that have any, by npm; nothing when none has."""
    packages = [(folder, about) for folder, about in _found(modules) if has_scripts(folder, about)]
    if not packages:
        return
    keys = {folder: _key(job, folder, about, modules) for folder, about in packages}
    missing = [(folder, about) for folder, about in packages if not _restored(job, folder, keys[folder])]
    if not missing:
        return
    inside = job.contained()
    specs = sorted({f"{about['name']}@{about['version']}" for _, about in missing})
    npm = inside.tool("npm", "choose an image that has Node.js with npm")
    command = [npm, "rebuild", "--foreground-scripts", "--ignore-scripts=false", "--no-audit", "--no-update-notifier"]
    inside.run(with_headers(inside, [*command, *specs]), cwd=os.path.dirname(modules))
    for folder, _ in missing:
        _keep(job, folder, keys[folder])


def has_scripts(folder: str, about: Mapping[str, Any]) -> bool:
    """npm runs node-gyp for a binding.gyp when the package says nothing else."""
    scripts = about.get("scripts")
    named = scripts if isinstance(scripts, dict) else {}
    return any(named.get(name) for name in SCRIPTS) or os.path.isfile(os.path.join(folder, "binding.gyp"))


def _found(modules: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from installed.found(modules) if os.path.isdir(modules) else ()


def _key(job: Job, folder: str, about: Mapping[str, Any], modules: str) -> str:
    """Return a digest of what a package is after its scripts: its files, the packages it names, the container."""
    assert job.container is not None
    names = {
        name for kind in ("dependencies", "optionalDependencies", "peerDependencies") for name in about.get(kind) or {}
    }
    beside = sorted((name, _version(folder, name, modules)) for name in names)
    content = [sorted(_rows(folder)), beside, job.target.runtime, job.target.architecture, job.container.identity]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _rows(folder: str) -> Iterator[tuple[str, bool, str]]:
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "node_modules"]
        for path in (os.path.join(top, name) for name in names):
            if os.path.isfile(path):
                with open(path, "rb", opener=regular.opener) as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                yield os.path.relpath(path, folder), os.access(path, os.X_OK), digest


def _version(folder: str, name: str, modules: str) -> str:
    """Return the version of a package that Node.js finds from a folder."""
    while folder.startswith(modules):
        file = os.path.join(folder, "node_modules", name, "package.json")
        if os.path.isfile(file):
            return _said_version(file)
        folder = os.path.dirname(folder)
    file = os.path.join(modules, name, "package.json")
    return _said_version(file) if os.path.isfile(file) else ""


def _said_version(file: str) -> str:
    with open(file, encoding="utf-8", errors="replace", opener=regular.opener) as stream:
        return str(regular.json(stream.read()).get("version", ""))


def _home(job: Job, key: str) -> str:
    return os.path.join(job.store, "built", key)


def _restored(job: Job, folder: str, key: str) -> bool:
    """Restore a package from the store if it is there, and return whether it was; packages inside it stay."""
    kept = store.whole_folder(_home(job, key), job.discard)
    if not kept:
        return False
    _emptied(folder)
    shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
    return True


def _emptied(folder: str) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False) and entry.name != "node_modules":
            shutil.rmtree(entry.path)
        elif not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)


def _keep(job: Job, folder: str, key: str) -> None:
    home = _home(job, key)
    os.makedirs(home, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(home), ignore_cleanup_errors=True) as fresh:
        copy = os.path.join(fresh, "one")
        shutil.copytree(folder, copy, symlinks=True, ignore=_not_kept)
        store.adopt(copy, home)


def _not_kept(folder: str, names: Iterable[str]) -> set[str]:
    return {"node_modules"} & set(names)


def scriptless(job: Job) -> Job:
    """Return the same step with no script of a package run."""
    target = replace(job.target, options={**job.target.options, "ignore_scripts": True})
    return replace(job, target=target)
