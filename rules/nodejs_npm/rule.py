"""Node.js packages of a package.json: npm ci when there is a lock file, npm install when there is none."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from lambdabuild.node import failures, gathered, installed, manifest, native, place, workspace
from lambdabuild.node.manifest import NPM_LOCKS
from lambdabuild.node.scripts import Beside
from lambdabuild.node.workspace import Workspace
from lambdabuild.rule_api import BadManifest, CannotResolve, Job, KnownFailure, Offline, Result, ToolFailed, ToolMissing

KNOWS_PLATFORMS = 10
"""The first npm that can install for another machine than its own (--os, --cpu)."""
CODE = r"(?m)^npm (?:error|ERR!) code "
USAGE = "Clean install a project"
"""The start of npm's usage."""
FOREIGN = re.compile(r"(?!(?:npm|file|git|github|gist|bitbucket|gitlab|https?|git\+\w+):)[a-z][\w+.-]*:")
"""A version of a kind that another package manager knows."""
KNOWN_FAILURES = (
    KnownFailure(
        f"{CODE}ENOTCACHED",
        Offline,
        "npm's cache has not all packages, and the run is offline",
        "run once without offline",
    ),
    KnownFailure(
        f"{CODE}127$",
        BadManifest,
        "an install script needs a program that is not installed",
        "name its package in dependencies, have those for development too with omit = [], or set ignore_scripts = true",
    ),
    KnownFailure(
        f"{CODE}(?:E404|ETARGET|ERESOLVE|EBADPLATFORM|ENOVERSIONS)",
        CannotResolve,
        "npm found no set of packages for package.json",
        "correct the names and versions; npm's words above say which do not fit",
    ),
)


def resolve(job: Job) -> Result:
    if not job.target.manifest:
        return Result()
    folder = os.path.dirname(job.target.manifest)
    about = manifest.read(job, job.target.manifest)
    is_npms = os.path.basename(job.target.manifest) == "package.json"
    space = workspace.of_package_json(job, folder) if is_npms else None
    local = manifest.local(job, folder, about)
    if space is not None:
        return _of_workspace(job, folder, space, local)
    if not (job.files or manifest.names_packages(about, job.target.options)):
        return Result(reads=tuple(local))
    work = place.mirrored(job, folder, local)
    _copy_files(folder, work, (*NPM_LOCKS, ".npmrc"))
    shutil.copy(job.target.manifest, os.path.join(work, "package.json"))
    beside = Beside(job, folder, work)
    _npm(job, work, work, about)
    return installed.shipped(job, os.path.join(work, "node_modules"), local, written=beside.written())


def _of_workspace(job: Job, folder: str, space: Workspace, local: list[str]) -> Result:
    """Install in a copy of the workspace that has no more members than the package, or the root itself, needs."""
    is_root = folder == space.folder
    siblings = space.siblings(folder, manifest.omitted(job.target.options))
    for member in siblings.shipped:
        local = [*local, *manifest.local(job, member, space.manifests.get(member, {}))]
    reads = sorted({*local, *siblings.shipped, *siblings.manifests})
    abouts = [space.manifests.get(member, {}) for member in (space.members if is_root else (folder, *siblings.shipped))]
    if not (job.files or any(manifest.names_packages(about, job.target.options) for about in abouts)):
        return installed.of_out(job, reads)
    work = place.mirrored(job, folder, [*reads, *place.present(space.folder, ("package.json", *NPM_LOCKS, ".npmrc"))])
    _copy_files(folder, work, ("package.json",))
    root = os.path.normpath(os.path.join(work, os.path.relpath(space.folder, folder)))
    members = sorted({*siblings.shipped, *siblings.named, folder} - {space.folder})
    paths = [os.path.relpath(member, space.folder) for member in members]
    place.edited(os.path.join(root, "package.json"), lambda data: data.update(workspaces=paths))
    beside, notes = Beside(job, folder, work), list[str]()
    if not is_root:
        place.edited(os.path.join(root, "package.json"), manifest.without_scripts)
        shown = os.path.relpath(os.path.join(space.folder, "package.json"), job.target.project)
        notes = manifest.scripts_not_run(job, space.manifests.get(space.folder, {}), shown)
    # Tools for development, such as esbuild, are often the root's.
    develops = "dev" not in manifest.omitted(job.target.options)
    which = [] if is_root else [f"--workspace={os.path.relpath(folder, space.folder)}"]
    which += ["--include-workspace-root"] if develops and not is_root else []
    _npm(job, root, work, space.manifests.get(folder, {}), which)
    own = {"": work} | (space.copies_in(job.target.source, root) if is_root else {})
    gathered.write(job.out, own, root if develops else "")
    return installed.of_out(job, reads, notes, beside.written())


def _copy_files(folder: str, work: str, names: Iterable[str]) -> None:
    for file in place.present(folder, names):
        shutil.copy(file, work)


def _npm(job: Job, root: str, work: str, about: Mapping[str, Any], which: Iterable[str] = ()) -> None:
    """Install with npm; packages with scripts in the container, when the rest is done here."""
    if not native.is_auto(job):
        _install(job, root, which)
        return
    _install(native.scriptless(job), root, which)
    native.rebuild(job, os.path.join(root, "node_modules"))
    inside = job.contained()
    for name in manifest.own_scripts(about) if job.files else ():
        inside.run([inside.tool("npm"), "run", name], cwd=work)


def _install(job: Job, work: str, which: Iterable[str]) -> None:
    options = job.target.options
    lock = next((name for name in NPM_LOCKS if os.path.exists(os.path.join(work, name))), "")
    npm = job.tool("npm", "install Node.js, which brings npm")
    _check_platform(job, npm)
    command = [npm, "ci" if lock else "install", "--install-links", *which]
    command += ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--os=linux", "--libc=glibc"]
    command += [f"--cpu={place.CPUS[job.target.architecture]}", *([] if lock else ["--no-package-lock"])]
    command += [f"--omit={name}" for name in manifest.listed(options.get("omit", "dev"))]
    command += [f"--include={name}" for name in manifest.listed(options.get("include", ()))]
    command += ["--ignore-scripts"] if options.get("ignore_scripts") else []
    command += ["--offline"] if job.offline else ["--prefer-offline"]
    try:
        job.run(
            native.with_headers(job, command),
            cwd=work,
            extra_environment=place.variables(job, os.path.join(work, ".npmrc"), "~/.npmrc"),
        )
    except ToolFailed as error:
        help = "bring it up to date with: npm install --package-lock-only"
        stale = KnownFailure(f"{CODE}EUSAGE", BadManifest, f"{lock or 'the lock file'} does not fit package.json", help)
        raise failures.explain(job, error, (stale, _foreign(job, work), *KNOWN_FAILURES), until=USAGE) from error


def _foreign(job: Job, work: str) -> KnownFailure:
    """npm says which kind of version it does not know (``workspace:``, ``catalog:``), but not whose."""
    about = manifest.read(job, os.path.join(work, "package.json"))
    wanted = {name: str(text) for kind in manifest.KINDS for name, text in (about.get(kind) or {}).items()}
    foreign = ", ".join(sorted(f"{name} {text}" for name, text in wanted.items() if FOREIGN.match(text)))
    return KnownFailure(
        f"{CODE}EUNSUPPORTEDPROTOCOL",
        BadManifest,
        f"npm cannot install {foreign or 'a version of that kind'}",
        "write a version or a path that npm knows; workspace: and catalog: are for pnpm and Yarn, with their lock file",
    )


def _check_platform(job: Job, npm: str) -> None:
    """An old npm installs for the machine it runs on, whatever it is told."""
    if place.is_native(job):
        return
    version = job.run([npm, "--version"]).stdout.strip()
    if int(version.partition(".")[0]) < KNOWS_PLATFORMS:
        raise ToolMissing(
            f"{job.who} is for {job.target.architecture}, but npm {version} can only install for this machine",
            help=f"install npm {KNOWS_PLATFORMS} or newer: npm install --global npm@{KNOWS_PLATFORMS}",
        )
