"""Node.js packages that a yarn.lock pins, of Yarn 1 or a newer one, of a package alone or of one in a workspace."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambdabuild.node import failures, gathered, installed, manifest, place, platforms, programs, workspace, yarn_cache
from lambdabuild.node.programs import Program
from lambdabuild.node.scripts import Beside
from lambdabuild.node.workspace import Workspace
from lambdabuild.rule_api import BadManifest, CannotResolve, Job, KnownFailure, Offline, Result, ToolFailed, ToolMissing

LOCK = "yarn.lock"
SETTINGS = (".yarnrc", ".yarnrc.yml", ".npmrc")
BESIDE = (*SETTINGS, ".yarn/plugins", ".yarn/patches")
OLDEST = (3, 1)
"""The first after Yarn 1 that can install for another machine (supportedArchitectures)."""
MODERN = "__metadata:"
"""Found only in lock files of Yarn 2 or newer."""
MEMBER = re.compile(r'^  resolution: "[^"\n]*@workspace:([^"\n]+)"', re.MULTILINE)
YARN_PATH = re.compile(r"""^(?:yarnPath:|yarn-path)\s+["']?([^"'\s]+)""", re.MULTILINE)
MIRROR = re.compile(r"""^yarn-offline-mirror\s+["']?([^"'\s]+)""", re.MULTILINE)
PLATFORM_SETTING = re.compile(r"^supportedArchitectures:.*\n(?:(?:[ \t-].*)?\n)*", re.MULTILINE)
ENVIRONMENT = {
    **programs.ENVIRONMENT,
    "YARN_NODE_LINKER": "node-modules", "YARN_NM_HOISTING_LIMITS": "workspaces", "YARN_NM_MODE": "classic",
    "YARN_ENABLE_IMMUTABLE_INSTALLS": "false", "YARN_ENABLE_GLOBAL_CACHE": "true", "YARN_ENABLE_TELEMETRY": "false",
    "YARN_ENABLE_PROGRESS_BARS": "false", "YARN_ENABLE_COLORS": "false", "YARN_ENABLE_HYPERLINKS": "false",
    "YARN_ENABLE_INLINE_BUILDS": "true",
}  # fmt: skip
"""Whatever a project's .yarnrc.yml says: real files in a node_modules folder of each package
(https://yarnpkg.com/configuration/yarnrc)."""
EVERYTHING = ("prod", "dev", "optional")
STALE = "yarn.lock does not fit package.json"
KNOWN_FAILURES = (
    KnownFailure("lockfile needs to be updated", BadManifest, STALE, "bring it up to date with: yarn install"),
    KnownFailure(
        "YN0080|in (?:--)?offline mode|in our (?:offline mirror|cache)",
        Offline,
        "Yarn's cache has not all packages, and the run is offline",
        "run once without offline",
    ),
    KnownFailure(
        r"YN00(?:16|35|82)|Couldn't find (?:any versions for|package)|404 Not Found|is incompatible with this module",
        CannotResolve,
        "Yarn found no set of packages for package.json",
        "correct the names and versions; Yarn's words above say which do not fit",
    ),
)


@dataclass(frozen=True)
class Tree:
    """The copies of packages that Yarn sees: the one that is built, the root of its workspace, other members."""

    work: str
    root: str
    lock: str
    needed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def resolve(job: Job) -> Result:
    if not job.target.manifest:
        return Result()
    folder = os.path.dirname(job.target.manifest)
    about = manifest.read(job, job.target.manifest)
    top = job.target.workspace or folder
    lock = _text(os.path.join(top, LOCK))
    space = _space(job, folder, lock)
    is_root = space is not None and folder == space.folder
    needed = sorted(set(space.members) - {folder}) if space and is_root else space.needed(folder) if space else []
    reads = _reads(job, folder, about, space, needed)
    abouts = [about, *(space.manifests.get(member, {}) for member in needed if space)]
    if not (job.files or any(manifest.names_packages(member_about, job.target.options) for member_about in abouts)):
        return installed.of_out(job, reads)
    yarn = _yarn(job, folder, top, lock)
    tree = _tree(job, folder, space, lock, needed, reads)
    beside = Beside(job, folder, tree.work)
    try:
        (_modern if yarn.number >= OLDEST else _classic)(job, yarn, tree)
    except ToolFailed as error:
        raise failures.explain(job, error, KNOWN_FAILURES) from error
    for copy, member in zip(tree.needed, needed, strict=True):
        shutil.copyfile(os.path.join(member, "package.json"), os.path.join(copy, "package.json"))
    notes = _notes(job, about, lock) + (_no_pnp(job, folder, top) if yarn.number >= OLDEST else [])
    if space is None or len(space.members) == 1 or not (is_root or _develops(job)):
        return installed.shipped(job, os.path.join(tree.work, "node_modules"), reads, notes, beside.written())
    own = {"": tree.work} | (space.copies_in(job.target.source, tree.root) if is_root else {})
    gathered.write(job.out, own, tree.root if _develops(job) else "")
    return installed.of_out(job, reads, notes, beside.written())


def _develops(job: Job) -> bool:
    """Return whether development packages are wanted; such tools (esbuild) are often in the workspace's root."""
    return "dev" not in manifest.omitted(job.target.options)


def _notes(job: Job, about: Mapping[str, Any], lock: str) -> list[str]:
    unlocked = [] if lock else [f"{job.who}: no {LOCK} is about it, so what is newest was taken"]
    return [*unlocked, *([] if job.files else manifest.scripts_not_run(job, about, "package.json"))]


def _space(job: Job, folder: str, lock: str) -> Workspace | None:
    """Return the workspace of a package; also one of its own that only its lock file knows."""
    space = workspace.of_package_json(job, folder)
    if space is None:
        return Workspace(job, folder, (folder,)) if lock else None
    named = {os.path.normpath(os.path.join(space.folder, member)) for member in MEMBER.findall(lock)}
    return Workspace(job, space.folder, tuple(sorted({*space.members, *named})))


def _tree(job: Job, folder: str, space: Workspace | None, lock: str, needed: list[str], reads: list[str]) -> Tree:
    work = place.mirrored(job, folder, {job.target.manifest, *reads})
    if not job.files:
        place.edited(os.path.join(work, "package.json"), manifest.without_scripts)

    def copy(path: str) -> str:
        return os.path.normpath(os.path.join(work, os.path.relpath(path, folder)))

    others = sorted(
        set(space.members if space else ()) - {folder, *needed, *([job.target.workspace] if _develops(job) else [])}
    )
    root = copy(space.folder if space else folder)
    return Tree(work, root, lock, tuple(map(copy, needed)), tuple(map(copy, others)))


def _reads(job: Job, folder: str, about: Mapping[str, Any], space: Workspace | None, needed: list[str]) -> list[str]:
    """Return every file and folder that Yarn must see, besides the package's own package.json."""
    files = [*manifest.local(job, folder, about)]
    for path in _upwards(job, folder):
        files += [os.path.join(path, name) for name in SETTINGS]  # one that is made later counts, too
        files += place.present(path, BESIDE)
        files += place.present(path, YARN_PATH.findall(_settings(path)) + MIRROR.findall(_settings(path)))
    if space:
        files += [*needed, *place.present(space.folder, ["package.json", LOCK])]
        for member in needed:
            files += manifest.local(job, member, manifest.read(job, os.path.join(member, "package.json")))
        files += [path for member in space.members for path in place.present(member, ["package.json"])]
    return sorted(set(files) - {job.target.manifest})


def _upwards(job: Job, folder: str) -> Iterator[str]:
    """Yield a folder and those above it, as far as the checkout goes: Yarn takes settings from all of them."""
    last = os.path.commonpath([folder, job.target.checkout or job.target.project])
    yield folder
    while folder not in (last, os.path.dirname(folder)):
        folder = os.path.dirname(folder)
        yield folder


def _text(file: str) -> str:
    if not os.path.isfile(file):
        return ""
    with open(file, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _settings(folder: str) -> str:
    return "".join(_text(os.path.join(folder, name)) for name in SETTINGS[:2])


def _yarn(job: Job, folder: str, top: str, lock: str) -> Program:
    """Return the Yarn that the project carries or names, else the one on PATH."""
    for path in _upwards(job, folder):
        for name in YARN_PATH.findall(_settings(path)):
            return _fitting(job, programs.asked(job, job.tool("node"), os.path.join(path, name)), lock)
    pin = programs.pinned(job, "yarn", LOCK, (folder, top))
    package = "@yarnpkg/cli-dist" if pin and not pin.version.startswith("1.") else "yarn"
    return _fitting(job, programs.find(job, "yarn", pin, package, (folder, top)), lock)


def _fitting(job: Job, yarn: Program, lock: str) -> Program:
    is_modern = yarn.number >= (2,)
    if is_modern and yarn.number < OLDEST:
        problem = "can only install for the machine it runs on"
    elif lock and not is_modern and MODERN in lock:
        problem = "does not know the lock file, which a newer one wrote"
    else:
        return yarn
    raise ToolMissing(
        f"{job.who}: Yarn {yarn.version} {problem}",
        where=job.place(job.target.manifest),
        help='name a newer one in package.json, such as "packageManager": "yarn@4.18.1", and it is fetched',
    )


# Yarn 1


def _classic(job: Job, yarn: Program, tree: Tree) -> None:
    options = job.target.options
    omitted = manifest.omitted(options)
    if tree.root != tree.work or tree.needed:
        _check_lock(job, tree)
        _narrowed(tree, keeps_root=tree.work == tree.root or _develops(job))
    command = [*yarn.command, "install", "--non-interactive", "--no-progress", "--ignore-engines"]
    command += [] if job.files else ["--no-bin-links"]
    command += ["--frozen-lockfile" if tree.lock else "--no-lockfile", f"--production={str('dev' in omitted).lower()}"]
    command += ["--ignore-optional"] if "optional" in omitted else []
    command += ["--ignore-scripts"] if options.get("ignore_scripts") else []
    command += [] if place.is_native(job) else ["--ignore-platform"]
    command += ["--offline" if job.offline else "--prefer-offline"]
    # Two runs of Yarn 1 at once break the cache that they share.
    cache = os.path.join(job.store, "yarn")
    command += [f"--cache-folder={cache}", f"--mutex=file:{cache}.lock"]
    yarn_cache.discard_damaged(job, cache, tree.lock)
    try:
        job.run(command, cwd=tree.root, extra_environment={**programs.ENVIRONMENT, **_variables(job)})
    except ToolFailed:
        _tidy(cache)
        raise
    yarn_cache.record(cache, tree.lock)
    roots = (tree.root, *tree.needed) if tree.work == tree.root or _develops(job) else ()
    for folder in dict.fromkeys((tree.work, *roots)):
        platforms.keep_ours(job, folder)


def _tidy(cache: str) -> None:
    """A download that fails leaves empty folders in the cache, over which every later run of Yarn 1 stumbles."""
    for entry in Path(cache).glob("v*/*"):
        for folder in (*entry.glob("node_modules/@*"), entry / "node_modules", entry):
            with suppress(OSError):
                folder.rmdir()


def _narrowed(tree: Tree, *, keeps_root: bool) -> None:
    """Leave in a workspace what one package needs, and let each package have its packages in a folder of its own."""
    paths = [os.path.relpath(path, tree.root) for path in (tree.work, *tree.needed) if path != tree.root]

    def narrow(data: dict[str, Any]) -> None:
        data.pop("scripts", None)
        for kind in () if keeps_root else manifest.KINDS:
            data.pop(kind, None)
        data |= {
            "private": True,
            "workspaces": {"packages": paths, "nohoist": [] if tree.work == tree.root else ["**"]},
        }

    place.edited(os.path.join(tree.root, "package.json"), narrow)


def _check_lock(job: Job, tree: Tree) -> None:
    """Yarn 1 forgets to look whether a lock file fits the packages of a workspace (yarnpkg/yarn issue 5840)."""
    keys = re.findall(r"^(\S.*):$", tree.lock, re.MULTILINE)
    locked = {name.strip('" ') for key in keys for name in key.split(",")}
    members = [_about(job, path) for path in (tree.work, *tree.needed)]
    free = {data.get("name") for data in members}
    free |= {name.removeprefix("**/") for name in _about(job, tree.root).get("resolutions", {})}
    wanted = {
        f"{name}@{text}"
        for data in members
        for kind in (*manifest.SHIPPED, "devDependencies")
        for name, text in data.get(kind, {}).items()
        if name not in free and not str(text).startswith("link:")
    }
    if wanted - locked:
        raise BadManifest(
            f"{job.who}: {STALE}: it has no {', '.join(sorted(wanted - locked))}",
            where=job.place(job.target.manifest),
            help="bring it up to date with: yarn install",
        )


def _about(job: Job, folder: str) -> dict[str, Any]:
    return manifest.read(job, os.path.join(folder, "package.json"))


# Yarn 3 and newer


def _modern(job: Job, yarn: Program, tree: Tree) -> None:
    options = job.target.options
    environment = {**ENVIRONMENT, **_variables(job)}
    environment |= {"YARN_NM_HOISTING_LIMITS": "none"} if tree.work == tree.root else {}
    environment |= {"YARN_ENABLE_NETWORK": "false"} if job.offline else {}
    environment |= {"YARN_ENABLE_SCRIPTS": "false"} if options.get("ignore_scripts") else {}

    def run(*arguments: str) -> None:
        job.run([*yarn.command, "install", *arguments], cwd=tree.root, extra_environment=environment)

    _for_target(job, tree.root)
    file = os.path.join(tree.root, LOCK)
    if tree.lock:
        run("--mode=update-lockfile")
        if _pins(_text(file)) != _pins(tree.lock):
            raise BadManifest(
                f"{job.who}: {STALE}",
                where=job.place(job.target.manifest),
                help=f"bring it up to date with: yarn install (Yarn {yarn.version})",
            )
    else:
        Path(file).touch()  # without one Yarn looks for its project further up
    _focus(tree, manifest.omitted(options))
    run()
    _check_all_there(job, tree)


def _focus(tree: Tree, omitted: set[str]) -> None:
    """As ``yarn workspaces focus --production`` does, which Yarn 3 has in a plug-in only."""
    for folder in (tree.work, *tree.needed):
        place.edited(os.path.join(folder, "package.json"), lambda data: _leave_out(data, omitted))
    for folder in tree.others:
        if os.path.isfile(os.path.join(folder, "package.json")):
            place.edited(os.path.join(folder, "package.json"), lambda data: _leave_out(data, set(EVERYTHING)))


def _check_all_there(job: Job, tree: Tree) -> None:
    """Yarn passes over a package of another machine even where it is not optional."""
    about = _about(job, tree.work)
    names = about.get("dependencies", {}).keys() - about.get("optionalDependencies", {}).keys()
    missing = sorted(name for name in names if not os.path.exists(os.path.join(tree.work, "node_modules", name)))
    if missing:
        raise CannotResolve(
            f"{job.who} needs {', '.join(missing)}, not made for {job.target.architecture} Linux with glibc",
            where=job.place(job.target.manifest),
            help="make it an optional dependency, or build for another architecture",
        )


def _leave_out(data: dict[str, Any], omitted: set[str]) -> None:
    data.pop("installConfig", None)
    if "dev" in omitted:
        data.pop("devDependencies", None)
    if "optional" in omitted:
        for name in data.pop("optionalDependencies", {}):
            data.get("dependencies", {}).pop(name, None)
    if "prod" in omitted:
        data.pop("dependencies", None)
        data.pop("scripts", None)


def _for_target(job: Job, root: str) -> None:
    """No variable can hold this setting, so it is written into the copy of .yarnrc.yml."""
    cpu = place.CPUS[job.target.architecture]
    file = os.path.join(root, ".yarnrc.yml")
    text = PLATFORM_SETTING.sub("", _text(file) + "\n")
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(f"{text}supportedArchitectures:\n  os: [linux]\n  cpu: [{cpu}]\n  libc: [glibc]\n")


def _pins(lock: str) -> list[str]:
    """Return a lock file without the digests of local packages: their contents are inputs, not pins."""
    blocks = lock.strip().split("\n\n")
    return [block if "@file:" not in block else block.partition("\n  resolution:")[0] for block in blocks]


def _no_pnp(job: Job, folder: str, top: str) -> list[str]:
    settings = _settings(folder) + _settings(top)
    if re.search(r"^nodeLinker:\s*[\"']?node-modules", settings, re.MULTILINE):
        return []
    return [f"{job.who}: its packages are installed as a node_modules folder, not as Plug'n'Play"]


def _variables(job: Job) -> dict[str, str]:
    folders = _upwards(job, os.path.dirname(job.target.manifest))
    files = [os.path.join(folder, name) for folder in folders for name in SETTINGS]
    return place.variables(job, *files, "~/.yarnrc", "~/.yarnrc.yml", "~/.npmrc")
