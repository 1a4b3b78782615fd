"""Go programs: one static binary for Linux, by go build."""

import json
import os
import posixpath
import re
import shlex
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdabuild.rule_api import (
    BadManifest,
    BadSource,
    CannotResolve,
    Folder,
    HashMismatch,
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

PROCESSORS = {"x86_64": "amd64", "arm64": "arm64"}
WHERE_MODULES_COME_FROM = (
    "GOTOOLCHAIN", "GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB",
    "GOINSECURE", "GOAUTH", "GOVCS",
)  # fmt: skip
"""Settings of ``go env -w`` that are used; any other would silently change the result."""
NOT_IN_THE_KEY = (
    "GOENV",
    "GOPATH",
    "GOMODCACHE",
    "GOCACHE",
    "NETRC",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_GLOBAL",
)
"""Variables for Go that differ from one login to the next and change nothing: caches and keys to private modules."""
FILES = ("GoFiles", "SFiles", "HFiles", "SysoFiles", "EmbedFiles")
"""The fields of go list that name what the compiler reads of a package: https://pkg.go.dev/cmd/go#hdr-List_packages_or_modules"""
VENDORED = os.path.join("vendor", "modules.txt")
"""Its presence makes Go use the vendor folder: https://go.dev/ref/mod#vendoring"""
COMPILE_ERROR = re.compile(r"(?m)^(\S[^:\n]*\.go):(\d+):(\d+): ")
MANIFEST_ERROR = re.compile(r"^(?:go: )?(\S*go\.(?:mod|sum|work)):(\d+)(?::(\d+))?: ", re.MULTILINE)
COMPILING = threading.Lock()
"""Go asks its cache before it compiles, not while: two functions at once would both compile the standard library."""
CHATTER = ("go: downloading", "go: finding", "# ")

KNOWN_FAILURES = (
    KnownFailure(
        "module lookup disabled by GOPROXY=off",
        Offline,
        "Go's cache has not all modules, and the run is offline",
        "run once without offline",
    ),
    KnownFailure(
        "checksum mismatch|SECURITY ERROR",
        HashMismatch,
        "a module is not what go.sum promises",
        "find out why it changed; then go mod tidy",
    ),
    KnownFailure(
        r"missing go\.sum entry|go: updates to go\.(mod|sum|work) needed|no required module provides package"
        r"|is not in std|is replaced but not required|to add missing requirements",
        BadManifest,
        "go.mod and go.sum do not fit the source",
        "bring them up to date with: go mod tidy",
    ),
    KnownFailure(
        r"listed in go\.work|go\.work file: open",
        BadManifest,
        "go.work names a module that does not exist",
        "bring it up to date with: go work use -r .",
    ),
    KnownFailure(
        "inconsistent vendoring",
        BadManifest,
        "the vendor folder does not fit go.mod",
        "bring it up to date with: go mod vendor",
    ),
    KnownFailure(
        r"requires go >= ?[\d.]+ \(running go",
        ToolMissing,
        "the module needs a newer Go than this machine has",
        "install it, or let Go fetch it with GOTOOLCHAIN=auto",
    ),
    KnownFailure(
        "errors parsing|invalid go version|module declares its path as|unknown directive",
        BadManifest,
        "go.mod cannot be read",
        "correct it there",
    ),
    KnownFailure(
        "unknown revision|invalid version|404 Not Found|410 Gone|no matching versions",
        CannotResolve,
        "Go found no such version of a module",
        "correct go.mod; Go's words above say which",
    ),
)
DOES_NOT_COMPILE = KnownFailure(COMPILE_ERROR.pattern, BadSource, "the source does not compile", "correct the source")


@dataclass(frozen=True)
class Go:
    """The go command as it is called for one job: in the code folder, for the target's machine."""

    job: Job
    program: str
    environment: Mapping[str, str]

    def run(self, command: str, *arguments: str) -> str:
        try:
            ran = self.job.run(
                [self.program, command, *arguments],
                cwd=self.job.target.source,
                extra_environment=self.environment,
            )
        except ToolFailed as error:
            raise _explain(self.job, error) from error
        return ran.stdout

    def packages(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the output of ``go list``, which is one JSON object after another."""
        text, decoder, items = self.run("list", *arguments).strip(), json.JSONDecoder(), []
        while text:
            item, end = decoder.raw_decode(text)
            items.append(item)
            text = text[end:].lstrip()
        return items


def fetch(job: Job) -> Result:
    """Return the modules that compile needs, as ``go mod download`` stores them: a module proxy in a folder."""
    go, settings = _go(job)
    flags = _flags(job)
    used = go.packages("-deps", *flags, "-json=Dir,Module", _package(go, flags))
    cache = settings["GOMODCACHE"] + os.sep
    modules = [package["Module"] for package in used if str(package.get("Dir", "")).startswith(cache)]
    if not modules:
        return Result()
    downloads = os.path.join(cache, "cache", "download", "")
    versions = {str((module.get("Replace") or module)["GoMod"]).removesuffix(".mod") for module in modules}
    for file in {*(version + end for version in versions for end in (".zip", ".info")), *_graph(go)}:
        if file.startswith(downloads) and os.path.exists(file):
            kept = os.path.join(job.out, file.removeprefix(downloads))
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            shutil.copyfile(file, kept)
    return Result(parts=(Folder(job.out),))


def _graph(go: Go) -> list[str]:
    """Return the go.mod files of all modules that may have a say in which versions are taken."""
    listed = go.run("list", "-m", "-f", "{{if .Version}}{{.GoMod}}{{end}}", "all").splitlines()
    return [file for file in listed if file]


def compile(job: Job) -> Result:
    """Compile in turn with other functions; link, for which Go has no cache, at the same time."""
    go, settings = _go(job)
    flags = _flags(job)
    package = _package(go, flags)
    build = [*flags, *_output_flags(job), "-o", _output(job), package]
    try:
        with COMPILING:
            used = go.packages(
                "-deps",
                "-export",
                *flags,
                *_compiler_flags(job),
                f"-json=Dir,Standard,Module,{','.join(FILES)}",
                package,
            )
    except LambdaBuildError:
        go.run("build", *build)  # it says better what is wrong
        raise
    go.run("build", *build)
    return Result(
        parts=(Folder(job.out),),
        reads=tuple(sorted(_reads(go, used, settings))),
        facts={"packages": _modules(used)},
    )


def _go(job: Job) -> tuple[Go, dict[str, str]]:
    program = job.tool("go", "install Go: https://go.dev/dl/")
    settings = _settings(job, program)
    return Go(job, program, _environment(job, settings)), settings


def _settings(job: Job, program: str) -> dict[str, str]:
    names = ("GOROOT", "GOWORK", *WHERE_MODULES_COME_FROM)
    asked = job.run([program, "env", "-json", *names], cwd=job.target.source, extra_environment=_own())
    return {name: str(value) for name, value in json.loads(asked.stdout).items()}


def _environment(job: Job, settings: Mapping[str, str]) -> dict[str, str]:
    """For Linux and the target's processor, without C, and never with a right to edit go.mod."""
    flags = [flag for flag in os.environ.get("GOFLAGS", "").split() if flag != "-mod=mod"]
    kept = {name: settings[name] for name in WHERE_MODULES_COME_FROM if settings.get(name)}
    offline = {"GOPROXY": "off"} if job.offline else {}
    if "fetch" in job.earlier:
        # go.sum still says what each module must be.
        folder = next((part.path for part in job.earlier["fetch"].parts), "")
        offline = {
            "GOPROXY": f"file://{folder}" if folder else "off",
            "GONOSUMDB": "*",
            "GOSUMDB": "off",
            "GOPRIVATE": "",
        }
    target = {"GOOS": "linux", "GOARCH": PROCESSORS[job.target.architecture], "CGO_ENABLED": "0"}
    return {**_own(), **kept, **offline, **target, "GOENV": "off", "GOFLAGS": " ".join(flags)}


def _own() -> dict[str, str]:
    return {name: os.environ[name] for name in NOT_IN_THE_KEY if name in os.environ}


def _flags(job: Job) -> list[str]:
    """Return the flags that go build and go list must agree on."""
    tags = job.target.options.get("tags", ())
    joined = tags if isinstance(tags, str) else ",".join(str(tag) for tag in tags)
    return [
        "-trimpath",
        "-buildvcs=false",
        *([f"-tags={joined}"] if joined else []),
        *option_words(job, "go_build_flags"),
    ]


def _output_flags(job: Job) -> list[str]:
    """Return the linker's flags: a release has no symbol table and no debug information; panics still name lines."""
    linker = ["-buildid=", *([] if _is_debug(job) else ["-s", "-w"]), *option_words(job, "ldflags")]
    return [f"-ldflags={shlex.join(linker)}", *_compiler_flags(job)]


def _compiler_flags(job: Job) -> list[str]:
    return ["-gcflags=all=-N -l"] if _is_debug(job) else []


def _is_debug(job: Job) -> bool:
    return str(job.target.options.get("mode", "")).lower() == "debug"


def _output(job: Job) -> str:
    """``bootstrap`` for a custom runtime; a layer's program has the name that Go gives it, unless told another."""
    name = str(job.target.options.get("artifact_executable_name") or "")
    if job.target.kind == "layer":
        return os.path.join(job.out, name)
    if job.target.runtime.startswith("go"):
        return os.path.join(job.out, name or _handler(job))
    return os.path.join(job.out, "bootstrap")


def _handler(job: Job) -> str:
    handler = posixpath.normpath(str(job.target.options.get("handler") or "main"))
    return "main" if handler.startswith(("..", "/")) else handler


def _package(go: Go, flags: Sequence[str]) -> str:
    """Return the main package: the one asked for, the code folder's own, the handler's, or the only one there is."""
    job = go.job
    if job.target.options.get("package"):
        return str(job.target.options["package"])
    packages = go.packages("-find", "-e", *flags, "-json=Dir,Name,Error", "./...")
    source = os.path.realpath(job.target.source)
    mains = sorted(os.path.relpath(os.path.realpath(p["Dir"]), source) for p in packages if p.get("Name") == "main")
    handler = _handler(job)
    base = posixpath.basename(handler)
    wanted = (".", f"cmd/{handler}", handler, f"cmd/{base}", base)
    chosen = [name for name in wanted if name in mains] or mains
    if chosen and (chosen[0] in wanted or len(chosen) == 1):
        return "./" + chosen[0]
    if not mains and any("Error" in package for package in packages):
        return "."  # go build tells what is wrong with it
    raise BadSource(
        f"{job.who} has no main package in its code folder, nor in cmd/{handler}/",
        where=job.place(job.target.source),
        help=f"set the option package to one of: {', '.join('./' + name for name in mains)}"
        if mains
        else "begin a file there with: package main",
    )


def _reads(go: Go, used: Sequence[Mapping[str, Any]], settings: Mapping[str, str]) -> Iterator[str]:
    """Yield what was read outside the source: replaced modules, other packages of the module, go.work."""
    job, source = go.job, go.job.target.source
    elsewhere = tuple(settings[name] + os.sep for name in ("GOROOT", "GOMODCACHE"))
    own = {os.path.join(source, name) for name in job.files}
    for package in used:
        folder = str(package.get("Dir", ""))
        if package.get("Standard") or folder.startswith(elsewhere):
            continue
        if is_below(source, folder) or is_below(folder, source):
            # A folder that the source lies in has much that is none of our business.
            files = (os.path.join(folder, name) for field in FILES for name in package.get(field, ()))
            yield from (file for file in files if file not in own)
        else:
            yield folder
        yield from _manifests(package.get("Module", {}), elsewhere)
    if _vendored(job) not in own:
        yield _vendored(job)
    yield from _workspace(go, settings)


def _manifests(module: Mapping[str, Any], elsewhere: tuple[str, ...]) -> Iterator[str]:
    file = str((module.get("Replace") or module).get("GoMod", ""))
    if file and not file.startswith(elsewhere):
        yield file
        yield os.path.join(os.path.dirname(file), "go.sum")


def _workspace(go: Go, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the go.work in force with the modules it uses, and the places where another one would take over."""
    work = settings.get("GOWORK", "")
    if work not in ("", "off"):
        yield from (work, work + ".sum", os.path.join(os.path.dirname(work), VENDORED))
        yield from go.run("list", "-m", "-f", "{{.GoMod}}").split("\n")[:-1]
    if work != "off":
        yield from (os.path.join(folder, "go.work") for folder in _upwards(go.job))


def _vendored(job: Job) -> str:
    """Return the path of the file that makes Go use the module's vendor folder; it may be missing."""
    return os.path.join(os.path.dirname(job.target.manifest), VENDORED)


def _upwards(job: Job) -> Iterator[str]:
    """Yield the code folder and those above it, as far as the checkout, and the project, go."""
    folder = job.target.source
    last = os.path.commonpath([folder, job.target.checkout or job.target.project, job.target.project])
    while is_below(folder, last):
        yield folder
        if folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)


def _modules(used: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    modules = [package["Module"] for package in used if package.get("Module", {}).get("Version")]
    pairs = {(str(module["Path"]), str((module.get("Replace") or module).get("Version", ""))) for module in modules}
    return [{"name": name, "version": version} for name, version in sorted(pairs)]


def _explain(job: Job, error: ToolFailed) -> LambdaBuildError:
    lines = [line for line in error.output.splitlines() if line.strip() and not line.startswith(CHATTER)]
    tail = "\n".join(lines[:25])
    explained = explain_output(job, error, KNOWN_FAILURES, where=_place(job, MANIFEST_ERROR, error.output), tail=tail)
    if explained is not error:
        return explained
    return explain_output(job, error, [DOES_NOT_COMPILE], where=_place(job, COMPILE_ERROR, error.output), tail=tail)


def _place(job: Job, pattern: re.Pattern[str], output: str) -> Span:
    """Return the first place that Go names, which it does from the folder it runs in; else go.mod."""
    match = pattern.search(output)
    if not match:
        return job.place(job.target.manifest)
    file = os.path.normpath(os.path.join(job.target.source, match[1]))
    return job.place(file, int(match[2]), int(match[3] or 1))
