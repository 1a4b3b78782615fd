"""Rust programs: one binary for Lambda's Linux, by cargo-lambda with zig as the linker."""

import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lambdabuild.rule_api import (
    BadManifest,
    BadSource,
    CannotResolve,
    Folder,
    Job,
    KnownFailure,
    LambdaBuildError,
    Offline,
    Result,
    Span,
    ToolFailed,
    ToolMissing,
    explain_output,
    is_below,
    option_words,
)

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
GLIBC = {"provided": "2.17", "provided.al2": "2.26", "provided.al2023": "2.34"}
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html, with the glibc of each Amazon Linux."""
ANY_GLIBC = "2.26"
"""For layers, which several runtimes may use, and runtimes of tomorrow."""
NOT_IN_THE_KEY = re.compile(
    r"CARGO_HOME|RUSTUP_\w+|CARGO_(REGISTRY|REGISTRIES|HTTP|NET)_\w+|NETRC|SSH_AUTH_SOCK|GIT_SSH_COMMAND|GIT_CONFIG_GLOBAL"
)
"""Variables for cargo that say how crates are reached; which ones they are, Cargo.lock says."""
CONFIGURATION = ("rust-toolchain", "rust-toolchain.toml", ".cargo/config", ".cargo/config.toml")
"""Files that cargo and rustup also look for in every folder above the code."""
NOT_COPIED = ("target", ".git", "node_modules")
SINCE_1980 = "315532800"
"""SOURCE_DATE_EPOCH, for build scripts that write a date: the oldest that a zip can hold."""
PLACE = re.compile(r"^ *--> ([^:\n]+):(\d+):(\d+)", re.MULTILINE)

KNOWN_FAILURES = (
    KnownFailure(
        "--offline was specified|without (the offline flag|`--offline`)",
        Offline,
        "cargo's cache has not all crates, and the run is offline",
        "run once without offline",
        at_manifest=True,
    ),
    KnownFailure(
        r"lock file .* needs to be updated|cannot (update|create) the lock file",
        BadManifest,
        "Cargo.lock does not fit Cargo.toml",
        "bring it up to date with: cargo update --workspace",
    ),
    KnownFailure(
        r"can't find crate for `(core|std)`|target may not be installed",
        ToolMissing,
        "Rust's standard library for the function's processor is not installed",
        "rustup target add {triple}",
        at_manifest=True,
    ),
    KnownFailure(
        "toolchain '.*' is not installed",
        ToolMissing,
        "the Rust that its rust-toolchain file names is not installed",
        "rustup toolchain install",
        at_manifest=True,
    ),
    KnownFailure(
        "requires rustc |is not supported by the following package|edition2024",
        ToolMissing,
        "a crate needs a newer Rust than this machine has",
        "rustup update",
        at_manifest=True,
    ),
    KnownFailure(
        "failed to select a version|no matching package|failed to load source for dependency",
        CannotResolve,
        "cargo found no set of crates for Cargo.toml",
        "correct the names and versions; cargo's words above say which",
        at_manifest=True,
    ),
    KnownFailure(
        r"failed to parse manifest|failed to (load|read) manifest|TOML parse error|--> .*Cargo\.toml",
        BadManifest,
        "cargo cannot read Cargo.toml",
        "correct it there",
    ),
    KnownFailure(
        r"(?ms)\A(?=.*^error(?:\[E\d+\])?: )(?=.*^ *--> [^:\n]+:\d+:\d+)",
        BadSource,
        "the source does not compile",
        "correct the source",
    ),
)


@dataclass(frozen=True)
class Workspace:
    """The Rust project as it is built: where the user has it, or in a copy."""

    root: str
    manifest: str
    packages: tuple[Mapping[str, Any], ...]
    folders: tuple[str, ...]
    """Return its root, and those of the packages that it names besides itself."""
    top: str
    """The folder that holds them and the project."""
    twin: str = ""
    """The copy of ``top``, "" when there is none."""

    @property
    def is_locked(self) -> bool:
        return os.path.exists(os.path.join(self.root, "Cargo.lock"))

    def back(self, path: str) -> str:
        """Return a path of the copy as the user has it."""
        return _moved(path, self.twin, self.top) if self.twin else path


def compile(job: Job) -> Result:
    workspace = _workspace(job)
    binary = _binary(job, workspace)
    if not workspace.is_locked:
        # cargo would write the lock file into the user's folder.
        workspace = _copy(job, workspace)
    sysroot = _sysroot(job, workspace)
    _cargo_lambda(job, workspace, binary, sysroot)
    note = f"{job.target.name}: without a Cargo.lock the newest crates are taken; cargo generate-lockfile pins them"
    # rustc on PATH may be rustup's, which stays the same when the toolchain changes.
    reads = {*_reads(job, workspace, binary), os.path.join(sysroot, "bin", "rustc")}
    return Result(
        parts=(_part(job, workspace, binary),),
        reads=tuple(sorted(reads)),
        notes=(note,) if workspace.twin else (),
        facts={"packages": _crates(workspace)},
    )


# the workspace


def _workspace(job: Job) -> Workspace:
    about = _metadata(job, job.target.manifest)
    folders = {str(about["workspace_root"])}
    waiting = [about]
    while waiting:
        about_one = waiting.pop()
        for path in (*_beside(about_one), *_patches(str(about_one["workspace_root"]))):
            if not any(is_below(path, folder) for folder in folders):
                other = _metadata(job, _there(job, os.path.join(path, "Cargo.toml"), about_one))
                folders.add(str(other["workspace_root"]))
                waiting.append(other)
    top = os.path.commonpath([job.target.project, *folders])
    return Workspace(
        str(about["workspace_root"]), job.target.manifest, tuple(about["packages"]), tuple(sorted(folders)), top
    )


def _there(job: Job, manifest: str, about: Mapping[str, Any]) -> str:
    """Return the manifest of a crate that others name by its path. Raises BadManifest (LB402) when it is missing."""
    if not os.path.isfile(manifest):
        path = os.path.relpath(os.path.dirname(manifest), job.target.project)
        raise BadManifest(
            f"{job.who}: the crate of the path {path} does not exist",
            where=job.place(next((str(crate["manifest_path"]) for crate in about["packages"]), job.target.manifest)),
            help="correct the path, in [dependencies] or [patch]",
        )
    return manifest


def _metadata(job: Job, manifest: str) -> dict[str, Any]:
    """Return what cargo knows without dependencies, so that it writes no lock file."""
    command = [job.tool("cargo", "install Rust: https://rustup.rs"), "metadata", "--no-deps", "--format-version=1"]
    command += [f"--manifest-path={manifest}", *(["--offline"] if job.offline else [])]
    try:
        completed = job.run(command, cwd=os.path.dirname(manifest), extra_environment=_own())
    except ToolFailed as error:
        raise _explain(job, error, os.path.dirname(manifest)) from error
    about: dict[str, Any] = json.loads(completed.stdout)
    return about


def _beside(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders that dependencies name by their path."""
    for package in about["packages"]:
        yield from (str(wanted["path"]) for wanted in package["dependencies"] if wanted.get("path"))


def _patches(root: str) -> Iterator[str]:
    """The folders that take a crate's place: [patch] and [replace] of a workspace's root, which metadata leaves out."""
    try:
        with open(os.path.join(root, "Cargo.toml"), "rb") as stream:
            manifest = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError):
        return
    for table in (*manifest.get("patch", {}).values(), manifest.get("replace", {})):
        for wanted in table.values():
            if isinstance(wanted, dict) and isinstance(wanted.get("path"), str):
                yield os.path.normpath(os.path.join(root, wanted["path"]))


def _binary(job: Job, workspace: Workspace) -> str:
    """Return the one asked for, the only one, the package's default, or the handler's."""
    own = [package for package in workspace.packages if package["manifest_path"] == workspace.manifest]
    every, ours = (sorted(_binaries(packages)) for packages in (workspace.packages, own or workspace.packages))
    options = job.target.options
    asked = options.get("binary") or options.get("artifact_executable_name")
    if asked in every:
        return str(asked)
    defaults = [str(package["default_run"]) for package in own if package.get("default_run")]
    wanted = [] if asked else [*(ours if len(ours) == 1 else []), *defaults, str(options.get("handler"))]
    chosen = [name for name in wanted if name in ours]
    if chosen:
        return chosen[0]
    choice = f"no binary {asked!r}" if asked else "several binaries" if ours else "no binary"
    raise BadManifest(
        f"{job.who}: its Cargo.toml has {choice}",
        where=job.place(workspace.manifest),
        help=f"set the option binary to one of: {', '.join(every)}" if every else "add src/main.rs, or a [[bin]]",
    )


def _binaries(packages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for package in packages:
        yield from (str(target["name"]) for target in package["targets"] if "bin" in target["kind"])


def _copy(job: Job, workspace: Workspace) -> Workspace:
    """Return a copy in a place that stays, because cargo knows by path and time what is already compiled.

    cargo's settings of the folders above are copied too: they may say which registry a name stands for.
    """
    copy, highest = os.path.join(_cache(job), "copy"), _highest(job, workspace)
    twin = _moved(workspace.top, highest, copy)
    shutil.rmtree(copy, ignore_errors=True)

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name in NOT_COPIED or is_below(twin, os.path.join(folder, name))]

    for folder in workspace.folders:
        target = _moved(folder, workspace.top, twin)
        shutil.copytree(folder, target, ignore=ignored, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    for file in _configuration(job, workspace):
        if os.path.isfile(file) and not is_below(copy, os.path.dirname(file).removesuffix("/.cargo")):
            os.makedirs(os.path.dirname(_moved(file, highest, copy)), exist_ok=True)
            shutil.copy(file, _moved(file, highest, copy))
    root, manifest = (_moved(path, workspace.top, twin) for path in (workspace.root, workspace.manifest))
    return replace(workspace, root=root, manifest=manifest, twin=twin)


def _moved(path: str, old: str, new: str) -> str:
    return os.path.normpath(os.path.join(new, os.path.relpath(path, old))) if is_below(path, old) else path


# the build


def _cargo_lambda(job: Job, workspace: Workspace, binary: str, sysroot: str) -> None:
    flags = option_words(job, "cargo_lambda_flags")
    command = [job.tool("cargo-lambda", "pip install cargo-lambda ziglang"), "lambda", "build"]
    # Checking targets, cargo-lambda would install one that is missing.
    command += ["--skip-target-check", f"--target={_triple(job)}.{_glibc(job)}", f"--bin={binary}"]
    command += [f"--lambda-dir={os.path.join(job.scratch, 'lambda')}", *_package(workspace, binary)]
    command += ["--release"] if _profile(job, flags) == "release" and "--release" not in flags else []
    command += ["--locked"] if workspace.is_locked and "--locked" not in flags else []
    command += ["--offline"] if job.offline else []
    try:
        job.run(
            [*command, *flags],
            cwd=os.path.dirname(workspace.manifest),
            extra_environment=_own() | _environment(job, workspace, sysroot),
        )
    except ToolFailed as error:
        raise _explain(job, error, workspace.root, workspace) from error


def _package(workspace: Workspace, binary: str) -> list[str]:
    """Another member of the workspace, when the binary is not of the manifest's own package."""
    owners = [package for package in workspace.packages if binary in _binaries([package])]
    if any(package["manifest_path"] == workspace.back(workspace.manifest) for package in owners):
        return []
    return [f"--package={owners[0]['name']}"]


def _triple(job: Job) -> str:
    return TRIPLES[job.target.architecture]


def _glibc(job: Job) -> str:
    return GLIBC.get(job.target.runtime, ANY_GLIBC) if job.target.kind == "function" else ANY_GLIBC


def _profile(job: Job, flags: Sequence[str]) -> str:
    """Return the profile as cargo names its folder."""
    named = re.search(r"--profile[= ](\S+)", " ".join(flags))
    debug = str(job.target.options.get("mode", "")).lower() == "debug"
    return named[1] if named else "debug" if debug else "release"


def _sysroot(job: Job, workspace: Workspace) -> str:
    """Return the folder of the toolchain in force, which a rust-toolchain file may choose."""
    command = [job.tool("rustc", "install Rust: https://rustup.rs"), "--print=sysroot"]
    return job.run(command, cwd=os.path.dirname(workspace.manifest), extra_environment=_own()).stdout.strip()


def _environment(job: Job, workspace: Workspace, sysroot: str) -> dict[str, str]:
    return {
        "CARGO_TARGET_DIR": os.path.join(_cache(job), "target"),
        "CARGO_TERM_COLOR": "never",
        "CARGO_ZIGBUILD_CACHE_DIR": os.path.join(_cache(job), "zig"),
        "CARGO_ZIGBUILD_ZIG_PATH": _zig(job),
        "RUSTC_WRAPPER": _wrapper(job, workspace, sysroot),
        "SOURCE_DATE_EPOCH": SINCE_1980,
    }


def _own() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if NOT_IN_THE_KEY.fullmatch(name)}


def _cache(job: Job) -> str:
    return job.cache or job.scratch


def _zig(job: Job) -> str:
    """zig as it comes as a Python package, else another."""
    try:
        return job.tool("python-zig", "pip install ziglang")
    except ToolMissing:
        if shutil.which("zig"):
            return job.tool("zig")
        raise


def _wrapper(job: Job, workspace: Workspace, sysroot: str) -> str:
    """Return a program that calls rustc with the machine's folders under names of our own, the nearest last."""
    home = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")
    named = {sysroot: "/rust", workspace.twin or workspace.top: "/source", home: "/cargo"}
    named[os.path.join(_cache(job), "target")] = "/target"
    folders = [f"{folder}={named[folder]}" for folder in sorted(named, key=len)]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rustc_anywhere.py")
    words = [sys.executable, "-I", "-S", script, *folders, "--"]
    wrapper = os.path.join(_cache(job), "rustc")
    os.makedirs(_cache(job), exist_ok=True)
    with open(wrapper, "w", encoding="utf-8") as stream:
        stream.write(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    os.chmod(wrapper, 0o755)
    return wrapper


def _part(job: Job, workspace: Workspace, binary: str) -> Folder:
    """Return a function's bootstrap, a layer's program in bin/, or an extension where cargo-lambda puts it."""
    made = os.path.join(job.scratch, "lambda")
    if os.path.isdir(os.path.join(made, "extensions")):
        shutil.copytree(made, job.out, dirs_exist_ok=True)
        return Folder(job.out)
    program = os.path.join(made, binary, "bootstrap")
    if not os.path.exists(program):
        raise BadManifest(
            f"{job.who}: cargo-lambda made no binary {binary!r}",
            where=job.place(workspace.back(workspace.manifest)),
            help="look at cargo_lambda_flags",
        )
    is_function = job.target.kind == "function"
    shutil.copy(program, os.path.join(job.out, "bootstrap" if is_function else binary))
    return Folder(job.out, into="" if is_function else "bin")


# what was read


def _reads(job: Job, workspace: Workspace, binary: str) -> Iterator[str]:
    """Files that are no part of the source: those that rustc names, every manifest, and cargo's settings above."""
    own = {os.path.join(job.target.source, name) for name in job.files}
    used = [workspace.back(path) for path in _compiled(job, binary)]
    manifests = {os.path.join(workspace.back(workspace.root), name) for name in ("Cargo.toml", "Cargo.lock")}
    manifests |= {str(package["manifest_path"]) for package in workspace.packages}
    for path in used:
        manifests |= {os.path.join(folder, "Cargo.toml") for folder in _above(os.path.dirname(path), workspace.top)}
    for path in (*used, *(manifest for manifest in manifests if os.path.exists(manifest))):
        if path not in own:
            yield path
    yield os.path.join(workspace.back(workspace.root), "Cargo.lock")
    yield from _configuration(job, workspace)


def _configuration(job: Job, workspace: Workspace) -> Iterator[str]:
    """Yield where cargo and rustup look for settings, nearest first, up to the top of the checkout."""
    for folder in _above(os.path.dirname(job.target.manifest), _highest(job, workspace)):
        yield from (os.path.join(folder, name) for name in CONFIGURATION)


def _highest(job: Job, workspace: Workspace) -> str:
    return os.path.commonpath([workspace.top, job.target.checkout or workspace.top])


def _above(folder: str, top: str) -> Iterator[str]:
    """Yield the folder and its parents, up to ``top``."""
    while is_below(folder, top):
        yield folder
        folder = os.path.dirname(folder)


def _compiled(job: Job, binary: str) -> list[str]:
    """cargo's list of the local files that went into a binary.

    Source: https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files
    """
    profile = _profile(job, option_words(job, "cargo_lambda_flags"))
    folder = os.path.join(_cache(job), "target", _triple(job), "debug" if profile == "dev" else profile)
    file = Path(folder, f"{binary}.d")
    names = file.read_text("utf-8").partition("\n")[0].partition(": ")[2] if file.exists() else ""
    return [name.replace("\\ ", " ") for name in re.split(r"(?<!\\)\s+", names.strip()) if name]


def _crates(workspace: Workspace) -> list[dict[str, str]]:
    with open(os.path.join(workspace.root, "Cargo.lock"), "rb") as stream:
        packages = tomllib.load(stream).get("package", ())
    pairs = {(str(package["name"]), str(package["version"])) for package in packages if package.get("source")}
    return [{"name": name, "version": version} for name, version in sorted(pairs)]


# what went wrong


def _explain(job: Job, error: ToolFailed, folder: str, workspace: Workspace | None = None) -> LambdaBuildError:
    lines = [line for line in error.output.splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if line.startswith("error")), 0)
    where = _place(job, error.output, folder, workspace)
    tail = "\n".join(lines[start : start + 25])
    return explain_output(job, error, KNOWN_FAILURES, where=where, tail=tail, triple=_triple(job))


def _place(job: Job, output: str, folder: str, workspace: Workspace | None) -> Span:
    """Return the place of the first error, which rustc names from the workspace's folder."""
    first = re.search(r"^error", output, re.MULTILINE)
    match = PLACE.search(output, first.start() if first else 0)
    if not match:
        return job.place(job.target.manifest)
    file = os.path.normpath(os.path.join(folder, match[1]))
    return job.place(workspace.back(file) if workspace else file, int(match[2]), int(match[3]))
