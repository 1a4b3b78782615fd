"""Choices made by pip, for those who ask for it: its resolver, for the target instead of this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from typing import Any

from lambdabuild.core.errors import (
    CannotResolve,
    HashMismatch,
    LambdaBuildError,
    NoWheel,
    ToolFailed,
    ToolMissing,
)
from lambdabuild.core.spans import Span
from lambdabuild.python import locks, uv
from lambdabuild.python.indexes import Indexes
from lambdabuild.python.requirements import Requirements, normalised
from lambdabuild.python.targets import Platform
from lambdabuild.python.uv import BUILD_ENVIRONMENT, Ask
from lambdabuild.rule_api import Job, KnownFailure, explain_output

SHIM = """
import json, os, sys
from pip._internal.network.auth import MultiDomainBasicAuth
from pip._vendor.packaging import markers
logins = {host: tuple(login) for host, login in json.loads(os.environ.pop("INDEX_LOGINS")).items()}
made = MultiDomainBasicAuth.__init__
def init(self, *given, **named):
    made(self, *given, **named)
    self.passwords.update(logins)
MultiDomainBasicAuth.__init__ = init
target = json.loads(sys.argv.pop(1))
markers.default_environment = lambda: dict(target)
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""pip evaluates markers with the interpreter it runs on, whatever --platform says (pip issue 11664), and takes a
password from an address, a netrc or a keyring only, not from the environment."""

WRONG_HASH = KnownFailure(
    "DO NOT MATCH THE HASHES|require-hashes",
    HashMismatch,
    "a package is not what its pinned hash promises, or has none while others have",
    "make the hashes again: uv pip compile --generate-hashes writes all of them",
)


def compile_lock(
    job: Job, ask: Ask, platform: Platform, listed: Requirements | None = None
) -> tuple[locks.Choice, ...]:
    """Resolve requirements files with pip for a platform."""
    manifest = ask.manifest
    report = os.path.join(job.scratch, "report.json")
    command = [_python(job), "-c", SHIM, json.dumps(platform.environment()), "install", "--dry-run"]
    command += ["--ignore-installed", "--no-input", "--quiet", "--no-color", "--disable-pip-version-check"]
    command += ["--report", report]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", platform.python]
    command += [word for tag in platform.platforms() for word in ("--platform", tag)]
    command += [word for abi in (f"cp3{platform.minor}", "abi3", "none") for word in ("--abi", abi)]
    command += ["--target", os.path.join(job.scratch, "target"), "--requirement", manifest, *ask.limits, *ask.extra]
    command += [word for file in ask.more for word in ("--requirement", file)]
    command += ["--no-index", "--find-links", ask.find_links] if job.offline else []
    try:
        logins = {"INDEX_LOGINS": json.dumps(dict(ask.indexes.credentials))}
        job.run(command, cwd=os.path.dirname(manifest), extra_environment={**ask.indexes.environment, **logins})
    except ToolFailed as error:
        raise _explain(job, ask, platform, listed, error) from error
    with open(report, encoding="utf-8") as stream:
        choices = [_choice(item) for item in json.load(stream)["install"]]
    return tuple(sorted(choices, key=lambda choice: choice.name))


def build_wheel(job: Job, source: str, out: str, indexes: Indexes) -> str:
    """Build a folder into a wheel in ``out``; gives its path. Native compilers are kept out of it."""
    command = [_python(job), "-m", "pip", "wheel", "--no-deps", "--wheel-dir", out, source, "--ignore-requires-python"]
    command += ["--quiet", "--no-color", "--disable-pip-version-check", *(["--no-index"] if job.offline else [])]
    job.run(command, extra_environment={**indexes.environment, **BUILD_ENVIRONMENT})
    return next(os.path.join(out, name) for name in os.listdir(out) if name.endswith(".whl"))


def install(job: Job, wheel: str, target: str) -> None:
    """Install a wheel into a folder, without its dependencies."""
    command = [_python(job), "-m", "pip", "install", "--no-deps", "--target", target, wheel, "--ignore-requires-python"]
    command += ["--no-index", "--no-compile", "--quiet", "--no-color", "--disable-pip-version-check"]
    job.run(command)


def _python(job: Job) -> str:
    """Return an interpreter that has pip: this one, else the first on PATH."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable
    try:
        return job.tool("python3")
    except ToolMissing as error:
        raise ToolMissing(
            f"{job.who} asks for pip, which is not installed", help="install pip, or leave the setting resolver out"
        ) from error


def _choice(item: dict[str, Any]) -> locks.Choice:
    about, download = item["metadata"], item["download_info"]
    name, version = normalised(about["name"]), about["version"]
    if "dir_info" in download:
        return locks.Source(name, version, path=locks.path_of(download["url"]))
    if "vcs_info" in download:
        return locks.Source(name, version, git=download["url"], commit=download["vcs_info"]["commit_id"])
    sha256 = download.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    file_name = locks.file_name_of(download["url"])
    if file_name.endswith(".whl"):
        return locks.Wheel(name, version, file_name, download["url"], sha256)
    return locks.Source(name, version, url=download["url"], sha256=sha256)


def _explain(
    job: Job, ask: Ask, platform: Platform, listed: Requirements | None, error: ToolFailed
) -> LambdaBuildError:
    where = Span(os.path.relpath(ask.shown, job.target.project))
    output = "\n".join(line for line in error.output.splitlines() if line.strip())
    explained = explain_output(job, error, (WRONG_HASH, uv.not_stored(ask.manifest)), where=where, tail=output)
    if explained is not error:
        return explained
    if re.search("No matching distribution found|from versions", output):
        tail = f"tried: {', '.join(platform.platforms())}\n{output}"
        return explain_output(job, error, [_no_wheel(platform)], where=where, tail=tail)
    clash = uv.requirements_clash(job, listed, output)
    return clash or explain_output(job, error, [_unresolved(ask)], where=where, tail=output)


def _no_wheel(platform: Platform) -> KnownFailure:
    return KnownFailure(
        "",
        NoWheel,
        f"a package has no wheel for Python {platform.python} on {platform.tag}, or does not exist",
        locks.WAYS_OUT,
    )


def _unresolved(ask: Ask) -> KnownFailure:
    return KnownFailure(
        "",
        CannotResolve,
        f"pip found no set of packages for {os.path.basename(ask.manifest)}",
        "correct the names and versions; pip's words above say which do not fit",
    )
