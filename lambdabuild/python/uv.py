"""Locks made by uv: from requirements or a pyproject.toml for one platform, or as uv.lock has it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lambdabuild.core import regular
from lambdabuild.core.errors import (
    BadManifest,
    CannotResolve,
    DownloadFailed,
    LambdaBuildError,
    NoWheel,
    Offline,
    RequirementsClash,
    ToolFailed,
)
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span
from lambdabuild.python import locks
from lambdabuild.python.indexes import Indexes
from lambdabuild.python.requirements import Requirements, normalised
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Job, KnownFailure, explain_output

MEND = "install it with: pip install uv"
SDISTS_AT_MOST = 50
NO_COMPILER = {"CC": "false", "CXX": "false"}
"""Packages that are built on this machine, even just for their metadata, must be pure Python."""
BUILD_ENVIRONMENT = {**NO_COMPILER, "SOURCE_DATE_EPOCH": "315532800"}
"""Wheels are dated 1980, the oldest that a zip can hold."""
OLD_PYTHON = "3.7"
"""The oldest that uv resolves for."""
NEEDS_WHEEL = re.compile(r"Wheels are required for `([^`]+)`")
HAS_NONE = re.compile(r"([A-Za-z0-9][\w.-]*?)(?:==([^\s,]+?))? ha(?:s|ve) no (?:usable )?wheels")
DIRECT_SOURCE = re.compile(r"Building source distributions for `([^`]+)` is disabled")
NOT_FOUND = re.compile(r"Because ([\w.-]+) was not found in the")
POSITION = re.compile(r"in `([^`]+)` at position (\d+)")
NETWORK = re.compile(r"Failed to fetch|error sending request|dns error|Connection refused|Request failed after")

UNREACHABLE = KnownFailure(
    NETWORK.pattern,
    DownloadFailed,
    "the package index cannot be reached",
    "check the network, the proxy and the index's address, or build with offline",
)


class Ask(Struct, frozen=True):
    """A request to uv: what to lock."""

    manifest: str
    extra: tuple[str, ...] = ()
    """Options of uv: groups and extras of a pyproject.toml."""
    find_links: str = ""
    """A folder of wheels to use instead of an index."""
    indexes: Indexes = field(default_factory=Indexes)
    copy_of: str = ""
    """The user's manifest, when ``manifest`` is a copy of it."""
    more: tuple[str, ...] = ()
    """Requirements files that are resolved together with the manifest."""
    constraints: tuple[str, ...] = ()
    """Files of what holds for a package when anybody asks for it."""

    @property
    def limits(self) -> tuple[str, ...]:
        """The constraints as uv and pip take them."""
        return tuple(word for file in self.constraints for word in ("--constraint", file))

    @property
    def shown(self) -> str:
        return self.copy_of or self.manifest


def compile_lock(
    job: Job, ask: Ask, platform: Platform, requirements: Requirements | None, from_source: Sequence[str] = ()
) -> tuple[locks.Choice, ...]:
    """Resolve a manifest for a platform. ``from_source`` names packages that must be built (local projects).

    Raises what ``locks.select`` raises, and CannotResolve (LB408), BadManifest (LB402), DownloadFailed (LB604),
    Offline (LB603).
    """
    sources = list(from_source)
    for _ in range(SDISTS_AT_MOST):
        try:
            return _best(job, ask, platform, requirements, sources)
        except _NeedsSource as needed:
            if needed.package in sources:
                raise needed.error from None
            if not needed.is_direct and job.container is None:
                _refuse_if_it_has_wheels(job, ask, platform, needed, requirements)
            sources.append(needed.package)
    raise CannotResolve(f"{job.who}: more than {SDISTS_AT_MOST} packages have no wheels", help="lock them")


def _best(
    job: Job, ask: Ask, platform: Platform, requirements: Requirements | None, sources: list[str]
) -> tuple[locks.Choice, ...]:
    """uv knows no glibc between 2.17 and 2.28: what the newer gives is taken when the runtime can load all of it."""
    below, *above = platform.uv_platforms
    with ThreadPoolExecutor(1) as pool:
        newer = pool.submit(_attempt, job, ask, platform, above[0], requirements, sources) if above else None
        try:
            outcome: tuple[locks.Choice, ...] | Exception = _attempt(job, ask, platform, below, requirements, sources)
        except (_NeedsSource, LambdaBuildError) as error:
            outcome = error
        try:
            if newer is not None:
                return newer.result()
        except (_NeedsSource, LambdaBuildError):
            pass
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class _NeedsSource(Exception):
    """uv found no wheel it may use for a package."""

    def __init__(self, package: str, version: str, error: LambdaBuildError, *, is_direct: bool) -> None:
        super().__init__(package)
        self.package, self.version, self.error = package, version, error
        self.is_direct = is_direct
        """It is named by an address, so there are no wheels to look for."""


def _attempt(
    job: Job, ask: Ask, platform: Platform, uv_platform: str, requirements: Requirements | None, sources: list[str]
) -> tuple[locks.Choice, ...]:
    arguments = ["--python-version", platform.python, "--python-platform", uv_platform, *ask.extra]
    arguments += ["--only-binary", ":all:"]
    arguments += [word for name in sources for word in ("--no-binary", name)]
    folder = os.path.dirname(ask.manifest)
    try:
        text = _compile(job, ask, [ask.manifest, *ask.more, *ask.limits, *arguments])
    except ToolFailed as error:
        raise _explain(job, ask, platform, requirements, error) from error
    lock = locks.parse(text, job.who)
    return locks.select(lock, platform, folder, job.who, requirements, may_build=job.container is not None)


def _compile(job: Job, ask: Ask, arguments: Sequence[str], stdin: str | None = None) -> str:
    command = [job.tool("uv", MEND), "pip", "compile", *arguments, "--format", "pylock.toml", "--no-header"]
    command += ["--quiet", "--color", "never", "--python", sys.executable]
    if job.offline or ask.find_links:
        command += ["--offline", "--no-index", "--find-links", ask.find_links]
    command += _excludes(job)
    environment = {**ask.indexes.environment, **NO_COMPILER}
    return job.run(command, cwd=os.path.dirname(ask.manifest), stdin=stdin, extra_environment=environment).stdout


def without(job: Job) -> list[str]:
    """Packages that are not wanted, nor what only they need: the option ``without``."""
    value = job.target.options.get("without", [])
    return [normalised(name) for name in ([value] if isinstance(value, str) else value)]


def _excludes(job: Job) -> list[str]:
    names = without(job)
    if not names:
        return []
    descriptor, path = tempfile.mkstemp(".txt", "excludes", job.scratch)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write("\n".join(names) + "\n")
    return ["--excludes", path]


def _refuse_if_it_has_wheels(
    job: Job, ask: Ask, platform: Platform, needed: _NeedsSource, requirements: Requirements | None
) -> None:
    """Only a package that has no wheels at all may be built from its sdist: the others are native."""
    exact = f"{needed.package}=={needed.version}" if needed.version else needed.package
    options = [line.text for line in requirements.lines if line.is_source] if requirements else []
    count = 0
    # uv does not list wheels of Pythons that the asked one leaves behind, so an old one is asked for as well.
    for python in (platform.python, OLD_PYTHON):
        try:
            arguments = ["-", "--universal", "--no-deps", "--python-version", python]
            packages = locks.parse(
                _compile(job, ask, arguments, stdin="\n".join([*options, exact]) + "\n"), job.who
            ).packages
        except (ToolFailed, BadManifest):
            continue
        count += len(packages)
        for package in packages:
            if package.wheels:
                raise locks.no_wheel(job.who, package, platform, needed.error.where) from None
    if not count:
        raise needed.error from None


def not_stored(manifest: str) -> KnownFailure:
    """Return the row for any failure of an offline run: something that the manifest needs is not in the store."""
    return KnownFailure(
        "",
        Offline,
        f"the store has not all that {os.path.basename(manifest)} needs, and the run is offline",
        "run once without offline",
        only_offline=True,
    )


def _explain(
    job: Job, ask: Ask, platform: Platform, requirements: Requirements | None, error: ToolFailed
) -> LambdaBuildError | _NeedsSource:
    """uv's words as an error with a place."""
    output = "\n".join(line for line in error.output.splitlines() if line.strip())
    where = requirements.place_of(match[1]) if requirements and (match := NOT_FOUND.search(output)) else None
    where = where or Span(os.path.relpath(ask.shown, job.target.project))
    if "Couldn't parse" in output or "Error parsing" in output or "Failed to parse" in output:
        place = _position(ask, job, output)
        lines = requirements.lines if requirements and place else ()
        bad = next((f": Invalid requirement: {line.text!r}" for line in lines if line.text and line.where == place), "")
        return BadManifest(
            f"{job.who}: {os.path.basename(ask.shown)} cannot be read{bad}",
            where=place or where,
            tail=output,
            help="correct the line",
        )
    explained = explain_output(job, error, [not_stored(ask.shown)], where=where, tail=output)
    if explained is not error:
        return explained
    direct = DIRECT_SOURCE.search(output)
    needs = direct or NEEDS_WHEEL.search(output) or HAS_NONE.search(output)
    if needs:
        name = needs[1]
        version = next((m[2] for m in HAS_NONE.finditer(output) if normalised(m[1]) == normalised(name) and m[2]), "")
        place = requirements.place_of(name) if requirements else None
        no_wheel = _no_wheel(job, platform, name, version, place or where, output)
        return _NeedsSource(name, version, no_wheel, is_direct=direct is not None)
    explained = explain_output(job, error, [UNREACHABLE], output=output, where=where, tail=output)
    if explained is not error:
        return explained
    clash = requirements_clash(job, requirements, output)
    return clash or explain_output(job, error, [_unresolved(ask, platform)], where=where, tail=output)


def _unresolved(ask: Ask, platform: Platform) -> KnownFailure:
    name = os.path.basename(ask.shown)
    return KnownFailure(
        "",
        CannotResolve,
        f"no set of packages fits {name} for Python {platform.python} on {platform.tag}",
        "correct the names and versions; uv's words above say which do not fit",
    )


def requirements_clash(job: Job, requirements: Requirements | None, output: str) -> RequirementsClash | None:
    """Return an error if the resolver complains about a package for which two files ask differently."""
    for name, lines in requirements.disputed() if requirements else ():
        if re.search(rf"(?<![\w.-]){re.escape(name).replace('-', '[-_.]+')}(?![\w-])", output, re.IGNORECASE):
            return RequirementsClash(
                f"{job.who}: {' and '.join(dict.fromkeys(line.text for line in lines))} cannot go together",
                where=tuple(line.where for line in lines),
                tail=output,
                help="agree on one version: a function has one copy of each package",
            )
    return None


def _no_wheel(job: Job, platform: Platform, name: str, version: str, where: Span, output: str) -> NoWheel:
    return NoWheel(
        f"{job.who}: {' '.join(filter(None, (name, version)))} has no wheel for Python {platform.python}"
        f" on {platform.tag}",
        where=where,
        tail="tried: " + ", ".join(platform.platforms()) + "\n" + output,
        help=locks.WAYS_OUT,
    )


def _position(ask: Ask, job: Job, output: str) -> Span | None:
    """uv counts characters from the start of the file."""
    match = POSITION.search(output)
    if match is None:
        return None
    file = os.path.join(os.path.dirname(ask.shown), match[1])
    try:
        with open(file, encoding="utf-8", opener=regular.opener) as stream:
            before = stream.read()[: int(match[2])]
    except OSError:
        return None
    shown = os.path.relpath(file, job.target.project)
    return Span(shown, before.count("\n") + 1, len(before) - before.rfind("\n"))


def newest(job: Job, ask: Ask, platform: Platform) -> dict[str, str]:
    """``{package: version}`` that a resolution without regard to wheels would choose; {} when that fails."""
    try:
        arguments = ["--python-version", platform.python, "--python-platform", platform.uv_platforms[0], *ask.extra]
        text = _compile(job, ask, [ask.manifest, *ask.more, *ask.limits, *arguments])
        return {str(package.name): str(package.version) for package in locks.parse(text, job.who).packages}
    except (LambdaBuildError, ToolFailed):
        return {}


def export_lock(
    job: Job, project: str, platform: Platform, extra: Sequence[str], indexes: Indexes
) -> tuple[locks.Choice, ...]:
    """Return what uv.lock has for a platform; nothing is resolved again and no interpreter is needed."""
    command = [
        job.tool("uv", MEND),
        "export",
        "--frozen",
        "--format",
        "pylock.toml",
        "--no-header",
        "--no-default-groups",
    ]
    command += ["--no-emit-project", "--no-editable", "--quiet", "--color", "never", *extra]
    command += [word for name in without(job) for word in ("--prune", name)]
    try:
        text = job.run(
            [*command, *(["--offline"] if job.offline else [])], cwd=project, extra_environment=indexes.environment
        ).stdout
    except ToolFailed as error:
        raise BadManifest(
            f"{job.who}: uv.lock cannot be used",
            where=Span(os.path.relpath(os.path.join(job.target.workspace or project, "uv.lock"), job.target.project)),
            tail=error.tail,
            help="make it again with: uv lock",
        ) from error
    return locks.select(locks.parse(text, job.who), platform, project, job.who, may_build=job.container is not None)


def build_wheel(job: Job, source: str, out: str, indexes: Indexes, python: str = sys.executable) -> str:
    """Build a folder or an sdist into a wheel in ``out``; gives its path. Native compilers are kept out of it."""
    command = [job.tool("uv", MEND), "build", "--wheel", "--out-dir", out, "--color", "never", source]
    command += ["--python", python, *(["--offline"] if job.offline else [])]
    job.run(command, extra_environment={**indexes.environment, **BUILD_ENVIRONMENT})
    return next(os.path.join(out, name) for name in os.listdir(out) if name.endswith(".whl"))
