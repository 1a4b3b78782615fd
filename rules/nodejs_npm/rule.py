"""Node.js packages of a package.json: npm ci when there is a lock file, npm install when there is none."""

import os
import shutil

from lambdabuild.node_packages import installed, manifest, native, place
from lambdabuild.node_packages.failures import Reason, explained
from lambdabuild.rule_api import BadManifest, CannotResolve, Job, Offline, Result, ToolFailed, ToolMissing

LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
KNOWS_PLATFORMS = 10
"""The first npm that can install for another machine than its own (--os, --cpu)."""
CODE = r"(?m)^npm (?:error|ERR!) code "
USAGE = "Clean install a project"
"""Where npm begins to explain its options."""
REASONS = (
    Reason(
        f"{CODE}ENOTCACHED",
        Offline,
        "npm's cache has not all packages, and the run is offline",
        "run once without offline",
    ),
    Reason(
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
    local = manifest.local(job, folder, about)
    if not manifest.names_packages(about, job.target.options):
        return Result(reads=tuple(local))
    work = place.mirrored(job, folder, local)
    lock = next((name for name in LOCKS if os.path.exists(os.path.join(folder, name))), "")
    for file in place.present(folder, ("package.json", *LOCKS, ".npmrc")):
        shutil.copy(file, work)
    modules = os.path.join(work, "node_modules")
    if native.is_auto(job):
        _npm(native.scriptless(job), work, lock)
        native.rebuild(job, modules)
    else:
        _npm(job, work, lock)
    return installed.shipped(job, modules, local)


def _npm(job: Job, work: str, lock: str) -> None:
    options = job.target.options
    npm = job.tool("npm", "install Node.js, which brings npm")
    _check_platform(job, npm)
    command = [npm, "ci" if lock else "install", "--install-links"]
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
        mend = "bring it up to date with: npm install --package-lock-only"
        stale = Reason(f"{CODE}EUSAGE", BadManifest, f"{lock or 'the lock file'} does not fit package.json", mend)
        raise explained(job, error, (stale, *REASONS), until=USAGE) from error


def _check_platform(job: Job, npm: str) -> None:
    """An old npm installs for the machine it runs on, whatever it is told."""
    if place.is_native(job):
        return
    version = job.run([npm, "--version"]).stdout.strip()
    if int(version.partition(".")[0]) < KNOWS_PLATFORMS:
        raise ToolMissing(
            f"{job.who} is for {job.target.architecture}, but npm {version} can only install for this machine",
            mend=f"install npm {KNOWS_PLATFORMS} or newer: npm install --global npm@{KNOWS_PLATFORMS}",
        )
