"""Node.js packages of a package.json: npm ci when there is a lock file, npm install when there is none."""

import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.rule_api import (
    BadManifest,
    CannotResolve,
    Folder,
    Job,
    LambdaBuildError,
    Offline,
    Result,
    ToolFailed,
    ToolMissing,
)

LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
CPUS = {"x86_64": "x64", "arm64": "arm64"}
KINDS = ("dependencies", "optionalDependencies", "peerDependencies", "devDependencies")
CODE = re.compile(r"^npm (?:error|ERR!) code (\S+)", re.MULTILINE)
VARIABLE = re.compile(r"\$\{(\w+)\??\}")
KNOWS_PLATFORMS = 10
"""The first npm that can install for another machine than its own (--os, --cpu)."""
LEAVE_OUT = ("/node_modules/.package-lock.json", "/node_modules/.bin/", "/node_modules/.cache/")
"""npm's own notes and links to programs, which Lambda never runs; .cache is written by post-install scripts."""


def resolve(job: Job) -> Result:
    if not job.target.manifest:
        return Result()
    folder = os.path.dirname(job.target.manifest)
    manifest = _read(job, job.target.manifest)
    local = sorted(set(_local(folder, manifest)))
    wanted = {name for kind in KINDS[:2] for name in manifest.get(kind, {})}
    if not wanted:
        return Result(reads=tuple(local))
    work = _mirrored(job, folder, local)
    lock = next((name for name in LOCKS if os.path.exists(os.path.join(folder, name))), "")
    for name in ("package.json", *LOCKS, ".npmrc"):
        if os.path.exists(os.path.join(folder, name)):
            shutil.copyfile(os.path.join(folder, name), os.path.join(work, name))
    _npm(job, work, lock)
    modules = os.path.join(work, "node_modules")
    if not os.path.isdir(modules):
        return Result(reads=tuple(local))
    target = os.path.join(job.out, "node_modules")
    _moved(modules, target)
    return Result(
        parts=(Folder(job.out, leave_out=LEAVE_OUT),),
        reads=tuple(local),
        facts={"packages": sorted(_installed(target), key=lambda fact: (fact["name"], fact["version"]))},
    )


def _read(job: Job, file: str) -> dict[str, Any]:
    shown = os.path.relpath(file, job.target.project)
    try:
        with open(file, encoding="utf-8-sig") as stream:
            data = json.load(stream)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise BadManifest(
            f"{job.who}: {shown} is not JSON: {error}", where=job.place(file, line, column), mend="correct it there"
        ) from error
    if not isinstance(data, dict):
        raise BadManifest(f"{job.who}: {shown} is not an object", where=job.place(file), mend="begin it with {")
    for kind in KINDS:
        if not isinstance(data.get(kind, {}), dict):
            raise BadManifest(f"{job.who}: {kind} is no object", where=job.place(file), mend='write "name": "version"')
    return data


def _local(folder: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Folders and files that dependencies name instead of a version."""
    for kind in KINDS[:3]:
        for text in manifest.get(kind, {}).values():
            path = str(text).removeprefix("file:").removeprefix("link:")
            if path != str(text) or path.startswith(("./", "../", "/")):
                yield os.path.normpath(os.path.join(folder, path))


def _mirrored(job: Job, folder: str, local: list[str]) -> str:
    """A place in the scratch folder that lies to its local packages as the manifest does; nothing of the user's is
    written to."""
    top = os.path.commonpath([folder, *local])
    for path in local:
        target = os.path.join(job.scratch, "tree", os.path.relpath(path, top))
        if os.path.isdir(path):
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("node_modules", ".git"), dirs_exist_ok=True)
        elif os.path.exists(path):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
    work = os.path.normpath(os.path.join(job.scratch, "tree", os.path.relpath(folder, top)))
    os.makedirs(work, exist_ok=True)
    return work


def _npm(job: Job, work: str, lock: str) -> None:
    options = job.target.options
    npm = job.tool("npm", "install Node.js, which brings npm")
    _check_platform(job, npm)
    command = [npm, "ci" if lock else "install", "--install-links"]
    command += ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--os=linux", "--libc=glibc"]
    command += [f"--cpu={CPUS[job.target.architecture]}", *([] if lock else ["--no-package-lock"])]
    command += [f"--omit={name}" for name in _list(options.get("omit", "dev"))]
    command += [f"--include={name}" for name in _list(options.get("include", ()))]
    command += ["--ignore-scripts"] if options.get("ignore_scripts") else []
    command += ["--offline"] if job.offline else ["--prefer-offline"]
    try:
        job.run(command, cwd=work, extra_environment=_variables(work))
    except ToolFailed as error:
        raise _explained(job, error, lock) from error


def _variables(work: str) -> dict[str, str]:
    """The variables that .npmrc files name, such as a registry's token."""
    names: set[str] = set()
    for file in (os.path.join(work, ".npmrc"), os.path.expanduser("~/.npmrc")):
        if os.path.isfile(file):
            with open(file, encoding="utf-8", errors="replace") as stream:
                names |= set(VARIABLE.findall(stream.read()))
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def _check_platform(job: Job, npm: str) -> None:
    """An old npm installs for the machine it runs on, whatever it is told."""
    if (platform.system(), MACHINES.get(platform.machine())) == ("Linux", job.target.architecture):
        return
    version = job.run([npm, "--version"]).stdout.strip()
    if int(version.partition(".")[0]) < KNOWS_PLATFORMS:
        raise ToolMissing(
            f"{job.who} is for {job.target.architecture}, but npm {version} can only install for this machine",
            mend=f"install npm {KNOWS_PLATFORMS} or newer: npm install --global npm@{KNOWS_PLATFORMS}",
        )


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value]


def _explained(job: Job, error: ToolFailed, lock: str) -> LambdaBuildError:
    found = CODE.search(error.output)
    code = found[1] if found else ""
    said = {"tail": _without_usage(error.output), "where": job.place(job.target.manifest)}
    if code == "EUSAGE":
        return BadManifest(
            f"{job.who}: {lock or 'the lock file'} does not fit package.json",
            mend="bring it up to date with: npm install --package-lock-only",
            **said,
        )
    if code == "ENOTCACHED":
        return Offline(
            f"{job.who}: npm's cache has not all packages, and the run is offline",
            mend="run once without offline",
            **said,
        )
    if code in ("E404", "ETARGET", "ERESOLVE", "EBADPLATFORM", "ENOVERSIONS"):
        return CannotResolve(
            f"{job.who}: npm found no set of packages for package.json",
            mend="correct the names and versions; npm's words above say which do not fit",
            **said,
        )
    return error


def _without_usage(output: str) -> str:
    """npm's own words up to where it begins to explain its options."""
    lines = [line for line in output.splitlines() if line.strip() not in ("", "npm error", "npm ERR!")]
    stop = next((number for number, line in enumerate(lines) if "Clean install a project" in line), len(lines))
    return "\n".join(lines[:stop][:25])


def _moved(modules: str, target: str) -> None:
    """Links among the modules (npm makes some for file: dependencies) become what they point to."""
    shutil.copytree(modules, target, ignore=shutil.ignore_patterns(".bin"), ignore_dangling_symlinks=True)


def _installed(modules: str) -> Iterator[dict[str, str]]:
    """Name and version of every package below a node_modules folder, nested ones too."""
    for entry in sorted(os.listdir(modules)):
        folder = os.path.join(modules, entry)
        if entry.startswith("@"):
            yield from _installed(folder)
        elif os.path.isfile(os.path.join(folder, "package.json")):
            with open(os.path.join(folder, "package.json"), encoding="utf-8", errors="replace") as stream:
                about = json.load(stream)
            yield {"name": str(about.get("name", entry)), "version": str(about.get("version", ""))}
            inner = os.path.join(folder, "node_modules")
            if os.path.isdir(inner):
                yield from _installed(inner)
