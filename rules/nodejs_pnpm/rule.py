"""Node.js packages that a pnpm-lock.yaml pins, of a package alone or of one in a workspace."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.node_packages import installed, manifest, place, programs, workspace
from lambdabuild.node_packages.failures import Reason, explained
from lambdabuild.node_packages.programs import Program
from lambdabuild.node_packages.workspace import Workspace
from lambdabuild.rule_api import BadManifest, CannotResolve, Job, Offline, Result, ToolFailed, ToolMissing

LOCK = "pnpm-lock.yaml"
BESIDE = (LOCK, "pnpm-workspace.yaml", ".npmrc", ".pnpmfile.cjs", ".pnpmfile.mjs")
SETTINGS = (".npmrc", "pnpm-workspace.yaml", "~/.npmrc")
MEMBER = re.compile(r"^  (?:'([^'\n]+)'|\"([^\"\n]+)\"|([^\s'\":]+)):", re.MULTILINE)
"""A package of the workspace in the block ``importers`` of a lock file (pnpm's lockfile spec, version 6 and newer)."""
PATCH = re.compile(r"""[^\s"':]+\.patch\b""")
KNOWS_PLATFORMS = (10, 14)
"""The first pnpm that is told on its command line which machine to install for (release notes of 10.14)."""
OLDEST = (8,)
"""Older ones know only the machine they run on."""
FLAGS = {"dev": "--prod", "optional": "--no-optional"}
LAYOUT = (
    "--config.node-linker=hoisted", "--config.package-import-method=copy", "--config.modules-dir=node_modules",
    "--config.side-effects-cache=false", "--reporter=append-only",
)  # fmt: skip
"""Real files in one node_modules folder; what install scripts make is made here, not taken from a store."""
REASONS = (
    Reason(
        r"OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|Cannot install with \"frozen-lockfile\"",
        BadManifest,
        "pnpm-lock.yaml does not fit package.json",
        "bring it up to date with: pnpm install --lockfile-only",
    ),
    Reason(
        "BROKEN_LOCKFILE",
        BadManifest,
        "pnpm-lock.yaml is broken",
        "make it anew with: pnpm install --lockfile-only",
    ),
    Reason(
        "ERR_PNPM_NO_OFFLINE_|in offline mode",
        Offline,
        "pnpm's store has not all packages, and the run is offline",
        "run once without offline",
    ),
    Reason(
        "NO_MATCHING_VERSION|FETCH_404|PEER_DEP_ISSUES|UNSUPPORTED_PLATFORM|WORKSPACE_PKG_NOT_FOUND",
        CannotResolve,
        "pnpm found no set of packages for package.json",
        "correct the names and versions; pnpm's words above say which do not fit",
    ),
)


def resolve(job: Job) -> Result:
    if not job.target.manifest:
        return Result()
    folder = os.path.dirname(job.target.manifest)
    about = manifest.read(job, job.target.manifest)
    space = workspace.around(job, folder, LOCK, _members)
    reads = _reads(job, folder, about, space)
    if not manifest.names_packages(about, job.target.options):
        return installed.shipped(job, "", reads)
    top = space.folder if space else folder
    pin = programs.pinned(job, "pnpm", LOCK, (folder, top))
    pnpm = programs.find(job, "pnpm", pin, "pnpm", (folder, top))
    work = place.mirrored(job, folder, {job.target.manifest, *reads})
    root = os.path.normpath(os.path.join(work, os.path.relpath(top, folder)))
    try:
        modules = _install(job, pnpm, work, root, space)
    except ToolFailed as error:
        raise explained(job, error, REASONS) from error
    return installed.shipped(job, modules, reads, _notes(job, about, space))


def _notes(job: Job, about: Mapping[str, Any], space: Workspace | None) -> list[str]:
    unlocked = [] if space else [f"{job.who}: no {LOCK} is about it, so what is newest was taken"]
    return [*unlocked, *manifest.own_scripts(job, about)]


def _members(root: str, lock: str) -> Iterator[str]:
    block = re.search(r"^importers:\n((?:[ \t].*\n|\n)*)", lock, re.MULTILINE)
    return ("".join(found) for found in MEMBER.findall(block[1] if block else ""))


def _reads(job: Job, folder: str, about: Mapping[str, Any], space: Workspace | None) -> list[str]:
    """Every file and folder that pnpm must see, beside the package's own package.json."""
    top = space.folder if space else folder
    needed = workspace.needed(job, space, folder) if space else []
    found = [*manifest.local(job, folder, about), *needed]
    found += [*place.present(top, ("package.json", *BESIDE)), *place.present(folder, [".npmrc"])]
    for member in needed:
        found += manifest.local(job, member, manifest.read(job, os.path.join(member, "package.json")))
    for file in place.present(top, ("package.json", "pnpm-workspace.yaml")):
        with open(file, encoding="utf-8", errors="replace") as stream:
            found += place.present(top, PATCH.findall(stream.read()))
    return sorted(set(found) - {job.target.manifest})


def _install(job: Job, pnpm: Program, work: str, root: str, space: Workspace | None) -> str:
    """Install in the copy, and give the node_modules folder. A package of a workspace gets one of its own, without
    what only others need: that is what ``pnpm deploy`` is for (https://pnpm.io/cli/deploy)."""
    settings = (os.path.join(root, name) for name in BESIDE)
    own = {name: os.path.join(job.scratch, name) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
    environment = {**programs.ENVIRONMENT, **own, **place.variables(job, *settings, "~/.npmrc")}
    is_alone = space is None or len(space.members) == 1
    flags = [*LAYOUT, *_chosen(job), *_platform(job, pnpm, work, is_alone)]
    place.edited(os.path.join(work, "package.json"), lambda data: data.pop("scripts", None))
    _stop_here(root)

    def run(cwd: str, *arguments: str) -> None:
        job.run([*pnpm.command, *arguments], cwd=cwd, extra_environment=environment)

    if is_alone:
        run(work, "install", "--frozen-lockfile" if space else "--no-lockfile", *flags)
        return os.path.join(work, "node_modules")
    # pnpm deploy takes a lock file as it is, stale or not.
    run(root, "install", "--frozen-lockfile", "--lockfile-only", *_chosen(job))
    alone = os.path.join(job.scratch, "alone")
    which = os.path.relpath(work, root)
    which = which if which == "." else f"./{which}"
    run(root, "--filter", which, "deploy", "--config.inject-workspace-packages=true", *flags, alone)
    return os.path.join(alone, "node_modules")


def _chosen(job: Job) -> list[str]:
    """What options and settings choose, as pnpm's flags."""
    options = job.target.options
    flags = [FLAGS[kind] for kind in sorted(manifest.omitted(options)) if kind in FLAGS]
    flags += ["--ignore-scripts"] if options.get("ignore_scripts") else []
    # A store of our own: pnpm would begin one at the root of a file system that is not the home folder's.
    store = os.path.join(job.store, "pnpm")
    return [*flags, "--offline" if job.offline else "--prefer-offline", f"--store-dir={store}"]


def _platform(job: Job, pnpm: Program, work: str, is_alone: bool) -> list[str]:
    """Flags by which pnpm installs for the function's machine; an older one reads that in package.json."""
    cpu = place.CPUS[job.target.architecture]
    if pnpm.number >= KNOWS_PLATFORMS:
        return ["--os=linux", f"--cpu={cpu}", "--libc=glibc"]
    if pnpm.number < OLDEST or not is_alone:
        raise ToolMissing(
            f"{job.who}: pnpm {pnpm.version} is too old {'' if is_alone else 'to install one package of a workspace '}"
            "for another machine",
            mend=f'name a newer one in package.json: "packageManager": "pnpm@{".".join(map(str, KNOWS_PLATFORMS))}.0"',
        )
    wanted = {"os": ["linux"], "cpu": [cpu], "libc": ["glibc"]}

    def change(data: dict[str, Any]) -> None:
        data["pnpm"] = {**data.get("pnpm", {}), "supportedArchitectures": wanted}

    place.edited(os.path.join(work, "package.json"), change)
    return []


def _stop_here(root: str) -> None:
    """pnpm looks for a workspace in all folders above; the user's own may lie there."""
    file = os.path.join(root, "pnpm-workspace.yaml")
    if not os.path.exists(file):
        with open(file, "w", encoding="utf-8") as stream:
            stream.write("packages: ['.']\n")
