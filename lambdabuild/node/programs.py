"""The package manager itself: the version that package.json names, else the one on PATH.

``packageManager`` is Corepack's field: ``"pnpm@10.34.8"``, with a digest ``"+sha512.<hex>"`` behind it if one likes
(https://nodejs.org/api/packages.html#packagemanager). A version that is not on PATH is fetched by npm, once a machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from base64 import b64decode
from collections.abc import Iterable

from lambdabuild.core import store
from lambdabuild.core.records import Struct
from lambdabuild.node import failures, manifest, place
from lambdabuild.rule_api import (
    BadManifest,
    CannotResolve,
    HashMismatch,
    Job,
    KnownFailure,
    Offline,
    ToolFailed,
    ToolMissing,
)

PIN = re.compile(
    r"(?P<name>[^@]+)@(?P<version>\d+\.\d+\.\d+[^+\s]*)(?:\+(?P<algorithm>sha\d+)\.(?P<digest>[0-9a-f]+))?"
)
QUIET = ("--package-lock", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
ENVIRONMENT = {
    "YARN_IGNORE_PATH": "1", "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
    "npm_config_manage_package_manager_versions": "false", "pnpm_config_manage_package_manager_versions": "false",
    "pnpm_config_pm_on_fail": "ignore",
}  # fmt: skip
"""No program takes another version of itself than the one that was chosen."""


class Pin(Struct, frozen=True):
    """A version that package.json names, with the digest it must have; "" for none."""

    version: str
    algorithm: str = ""
    digest: str = ""


class Program(Struct, frozen=True):
    command: tuple[str, ...]
    version: str

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])


def pinned(job: Job, name: str, lock: str, folders: Iterable[str]) -> Pin | None:
    """Return the version in the first ``packageManager`` field of the package.json files in these folders."""
    files = (os.path.join(folder, "package.json") for folder in folders)
    for file in filter(os.path.isfile, files):
        declared = manifest.read(job, file).get("packageManager")
        if not isinstance(declared, str):
            continue
        match = PIN.fullmatch(declared)
        if match is None or match["name"] != name:
            raise BadManifest(
                f"{job.who}: packageManager is {declared!r}, but the lock file is {lock}",
                where=job.place(file),
                help=f'write one version, such as "{name}@1.2.3", or remove the lock file that is not used',
            )
        return Pin(match["version"], match["algorithm"] or "", match["digest"] or "")
    return None


def find(job: Job, name: str, pin: Pin | None, package: str, folders: Iterable[str]) -> Program:
    """Return the program to run. ``package`` is what npm knows it as; an .npmrc in the folders says from where."""
    try:
        path = job.tool(name)
    except ToolMissing as error:
        if pin is None:
            raise ToolMissing(
                f"{job.who} needs {name!r}, which is not on PATH",
                help=f'name its version in package.json ("packageManager": "{name}@1.2.3") and it is fetched, or '
                f"install it: npm install --global {name}",
            ) from error
        return _fetched(job, name, pin, package, folders)
    program = asked(job, path)
    return program if pin is None or pin.version == program.version else _fetched(job, name, pin, package, folders)


def asked(job: Job, *command: str) -> Program:
    """Return a program with the version that it says."""
    folder = os.path.join(job.scratch, "asked")
    os.makedirs(folder, exist_ok=True)
    for name, text in (("package.json", "{}"), ("pnpm-workspace.yaml", "packages: ['.']\n"), ("yarn.lock", "")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)  # so that nothing looks further up, where the user's are
    return Program(command, job.run([*command, "--version"], cwd=folder, extra_environment=ENVIRONMENT).stdout.strip())


def _fetched(job: Job, name: str, pin: Pin, package: str, folders: Iterable[str]) -> Program:
    machine = f"{platform.system()}-{platform.machine()}".lower()
    home = os.path.join(job.store, "tools", f"{name}-{pin.version}{pin.digest[:8] and '-' + pin.digest[:8]}-{machine}")
    kept = store.whole_folder(home, job.discard)
    if kept:
        return Program((os.path.join(kept, "node_modules", ".bin", name),), pin.version)
    os.makedirs(home, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=os.path.dirname(home), prefix=".fetched-", ignore_cleanup_errors=True
    ) as parent:
        fresh = os.path.join(parent, name)
        _fetch(job, fresh, f"{package}@{pin.version}", folders)
        _check(job, name, pin, package, fresh)
        kept = store.adopt(fresh, home)
    return Program((os.path.join(kept, "node_modules", ".bin", name),), pin.version)


def _fetch(job: Job, folder: str, what: str, folders: Iterable[str]) -> None:
    npm = job.tool("npm", "install Node.js, which brings npm")
    os.makedirs(folder)
    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as stream:
        stream.write("{}")
    files = [file for near in folders if os.path.isfile(file := os.path.join(near, ".npmrc"))]
    for file in files[:1]:
        shutil.copyfile(file, os.path.join(folder, ".npmrc"))
    known = (
        KnownFailure(
            "ENOTCACHED", Offline, f"npm's cache has no {what}, and the run is offline", "run once without offline"
        ),
        KnownFailure("E404|ETARGET", CannotResolve, f"npm found no {what}", "correct packageManager in package.json"),
    )
    command = [npm, "install", *QUIET, "--offline" if job.offline else "--prefer-offline", what]
    try:
        job.run(command, cwd=folder, extra_environment=place.variables(job, *files[:1], "~/.npmrc"))
    except ToolFailed as error:
        raise failures.explain(job, error, known) from error
    if files:
        os.unlink(os.path.join(folder, ".npmrc"))


def _check(job: Job, name: str, pin: Pin, package: str, folder: str) -> None:
    """Hold what was fetched against the digest: of the archive, or of Yarn's one file as Corepack does since Yarn 2."""
    if package == "@yarnpkg/cli-dist" and pin.digest:
        with open(os.path.join(folder, "node_modules", package, "bin", "yarn.js"), "rb") as stream:
            digest = hashlib.new(pin.algorithm, stream.read()).hexdigest()
    elif pin.algorithm == "sha512":
        with open(os.path.join(folder, "package-lock.json"), encoding="utf-8") as stream:
            integrity = json.load(stream)["packages"][f"node_modules/{package}"]["integrity"]
        digest = b64decode(integrity.removeprefix("sha512-")).hex()
    else:
        return  # npm tells no other digest of an archive
    if digest != pin.digest:
        raise HashMismatch(
            f"{job.who}: {name} {pin.version} has the {pin.algorithm} {digest[:16]}..., not {pin.digest[:16]}...",
            where=job.place(job.target.manifest),
            help="correct packageManager in package.json, or find out who changed what",
        )
