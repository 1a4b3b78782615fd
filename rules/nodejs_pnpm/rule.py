"""Node.js packages that a pnpm-lock.yaml pins, of a package alone or of one in a workspace."""

import os
import re
from collections.abc import Mapping
from typing import Any

from lambdabuild.node import failures, gathered, installed, manifest, place, programs, workspace
from lambdabuild.node.programs import Program
from lambdabuild.node.scripts import Beside
from lambdabuild.node.workspace import Siblings
from lambdabuild.rule_api import BadManifest, CannotResolve, Job, KnownFailure, Offline, Result, ToolFailed, ToolMissing

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
COMMON = (
    "--config.package-import-method=copy", "--config.modules-dir=node_modules", "--config.side-effects-cache=false",
    "--reporter=append-only",
)  # fmt: skip
"""Real files; what install scripts make is made here, not taken from a store."""
LAYOUT = {
    True: ("--config.node-linker=hoisted", *COMMON),
    False: ("--config.node-linker=isolated", *COMMON),
}
"""By whether a package stands alone. In a workspace pnpm would hoist what no one but others needs."""
KNOWN_FAILURES = (
    KnownFailure(
        r"OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|Cannot install with \"frozen-lockfile\"",
        BadManifest,
        "pnpm-lock.yaml does not fit package.json",
        "bring it up to date with: pnpm install --lockfile-only",
    ),
    KnownFailure(
        "BROKEN_LOCKFILE",
        BadManifest,
        "pnpm-lock.yaml is broken",
        "update it with: pnpm install --lockfile-only",
    ),
    KnownFailure(
        "ERR_PNPM_NO_OFFLINE_|in offline mode",
        Offline,
        "pnpm's store has not all packages, and the run is offline",
        "run once without offline",
    ),
    KnownFailure(
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
    top = job.target.workspace or folder
    lock = _text(os.path.join(top, LOCK))
    space = workspace.around(job, folder, _members(top, lock))
    siblings = space.siblings(folder, manifest.omitted(job.target.options)) if space else Siblings(())
    reads = _reads(job, folder, about, top, siblings)
    members = space.members if space and folder == top else siblings.shipped
    abouts = [about, *(space.manifests.get(member, {}) for member in members if space)]
    if not (job.files or any(manifest.names_packages(member_about, job.target.options) for member_about in abouts)):
        return installed.of_out(job, reads)
    pin = programs.pinned(job, "pnpm", LOCK, (folder, top))
    pnpm = programs.find(job, "pnpm", pin, "pnpm", (folder, top))
    work = place.mirrored(job, folder, {job.target.manifest, *reads})
    root = os.path.normpath(os.path.join(work, os.path.relpath(top, folder)))
    is_alone = space is None or len(space.members) == 1
    beside = Beside(job, folder, work)
    try:
        _install(job, pnpm, work, root, LAYOUT[is_alone], bool(lock))
    except ToolFailed as error:
        raise failures.explain(job, error, KNOWN_FAILURES) from error
    notes = _notes(job, about, lock)
    if space is None or is_alone:
        return installed.shipped(job, os.path.join(work, "node_modules"), reads, notes, beside.written())
    own = {"": work} | (space.copies_in(job.target.source, root) if work == root else {})
    gathered.write(job.out, own, root if _develops(job) else "")
    return installed.of_out(job, reads, notes, beside.written())


def _notes(job: Job, about: Mapping[str, Any], lock: str) -> list[str]:
    unlocked = [] if lock else [f"{job.who}: no {LOCK} is about it, so what is newest was taken"]
    return [*unlocked, *([] if job.files else manifest.scripts_not_run(job, about, "package.json"))]


def _members(root: str, lock: str) -> set[str]:
    """Return the packages that the lock file knows, and those that pnpm-workspace.yaml means."""
    import yaml

    block = re.search(r"^importers:\n((?:[ \t].*\n|\n)*)", lock, re.MULTILINE)
    locked = {"".join(match) for match in MEMBER.findall(block[1] if block else "")}
    try:
        declared = yaml.safe_load(_text(os.path.join(root, "pnpm-workspace.yaml")))
    except yaml.YAMLError:
        return locked  # pnpm says what is wrong
    patterns = declared.get("packages") if isinstance(declared, dict) else None
    return locked | set(workspace.globbed(root, patterns if isinstance(patterns, list) else ()))


def _text(file: str) -> str:
    if not os.path.isfile(file):
        return ""
    with open(file, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _reads(job: Job, folder: str, about: Mapping[str, Any], top: str, siblings: Siblings) -> list[str]:
    """Return every file and folder that pnpm must see, besides the package's own package.json."""
    files = [*manifest.local(job, folder, about), *siblings.shipped, *siblings.manifests]
    files += [*place.present(top, ("package.json", *BESIDE)), *place.present(folder, [".npmrc"])]
    for member in siblings.shipped:
        files += manifest.local(job, member, manifest.read(job, os.path.join(member, "package.json")))
    for file in place.present(top, ("package.json", "pnpm-workspace.yaml")):
        files += place.present(top, PATCH.findall(_text(file)))
    return sorted(set(files) - {job.target.manifest})


def _install(job: Job, pnpm: Program, work: str, root: str, layout: tuple[str, ...], is_locked: bool) -> None:
    """Install in the copy; of a workspace what one package and its siblings need, of the root's own what all do."""
    settings = (os.path.join(root, name) for name in BESIDE)
    own = {name: os.path.join(job.scratch, name) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
    environment = {**programs.ENVIRONMENT, **own, **place.variables(job, *settings, "~/.npmrc")}
    if not job.files:
        place.edited(os.path.join(work, "package.json"), manifest.without_scripts)
    _stop_here(root)
    flags = [*layout, *_chosen(job), *_platform(job, pnpm, root)]
    which = [] if work == root else [f"--filter={{./{os.path.relpath(work, root)}}}..."]
    which += ["--filter={.}"] if which and _develops(job) else []
    command = [*which, "install", "--frozen-lockfile" if is_locked else "--no-lockfile", *flags]
    job.run([*pnpm.command, *command], cwd=root, extra_environment=environment)


def _develops(job: Job) -> bool:
    """Return whether development packages are wanted; such tools (esbuild) are often in the workspace's root."""
    return "dev" not in manifest.omitted(job.target.options)


def _chosen(job: Job) -> list[str]:
    """Return pnpm's flags for the options and settings."""
    options = job.target.options
    flags = [FLAGS[kind] for kind in sorted(manifest.omitted(options)) if kind in FLAGS]
    flags += ["--ignore-scripts"] if options.get("ignore_scripts") else []
    # A store of our own: pnpm would begin one at the root of a file system that is not the home folder's.
    store = os.path.join(job.store, "pnpm")
    return [*flags, "--offline" if job.offline else "--prefer-offline", f"--store-dir={store}"]


def _platform(job: Job, pnpm: Program, root: str) -> list[str]:
    """Flags by which pnpm installs for the function's machine; an older one reads that in package.json."""
    cpu = place.CPUS[job.target.architecture]
    if pnpm.number >= KNOWS_PLATFORMS:
        return ["--os=linux", f"--cpu={cpu}", "--libc=glibc"]
    if pnpm.number < OLDEST:
        raise ToolMissing(
            f"{job.who}: pnpm {pnpm.version} is too old to install for another machine",
            help=f'name a newer one in package.json: "packageManager": "pnpm@{".".join(map(str, KNOWS_PLATFORMS))}.0"',
        )
    wanted = {"os": ["linux"], "cpu": [cpu], "libc": ["glibc"]}

    def change(data: dict[str, Any]) -> None:
        data["pnpm"] = {**data.get("pnpm", {}), "supportedArchitectures": wanted}

    place.edited(os.path.join(root, "package.json"), change)
    return []


def _stop_here(root: str) -> None:
    """pnpm looks for a workspace in all folders above, where the user may have one."""
    file = os.path.join(root, "pnpm-workspace.yaml")
    if not os.path.exists(file):
        with open(file, "w", encoding="utf-8") as stream:
            stream.write("packages: ['.']\n")
