"""A distribution of the project's own -> the folder that an installer makes of it, without its dependencies.

Its own backend builds a wheel from a copy of the source (PEP 517, in an environment of its own), and the installer that
the user chose installs that into a folder. What names this machine, the installer or the day stays out.
"""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import (
    BadManifest,
    DownloadFailed,
    LambdaBuildError,
    NoWheel,
    Offline,
    ToolFailed,
    ToolMissing,
)
from lambdabuild.core.records import Struct
from lambdabuild.python import indexes, pip, pip_sources, uv
from lambdabuild.python.indexes import Indexes
from lambdabuild.python.wheels import checkout, parts
from lambdabuild.rule_api import Folder, Job, KnownFailure, Result, explain_output

MINORS = range(40)
NOT_INSTALLED = (*parts.NOT_FROM_BUILT, "/.lock", "/*.dist-info/uv_build.json", "/*.dist-info/uv_cache.json")
INSTALLABLE = "make `pip install .` work in its folder; list what the build needs in [build-system] requires"
KNOWN_FAILURES = (
    KnownFailure(
        "",
        Offline,
        "what the build of its distribution needs is not on this machine, and the run is offline",
        "run once without offline",
        only_offline=True,
    ),
    KnownFailure(
        uv.NETWORK.pattern,
        DownloadFailed,
        "what the build of its distribution needs cannot be fetched",
        "check the network, the proxy and the index's address",
    ),
    KnownFailure("", BadManifest, "its distribution cannot be built", INSTALLABLE),
)


class About(Struct, frozen=True):
    """A wheel's metadata. ``requires`` are its dependencies without those of extras."""

    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    scripts: frozenset[str]
    """Programs that an installer puts into bin/, with this machine's Python in them."""


def build(job: Job) -> Result:
    """Build and install the distribution in the target's source.

    Raises BadManifest (LB402) when it cannot be built, NoWheel (LB403) when it is native, Offline (LB603) and
    DownloadFailed (LB604) when what its build needs cannot be had.
    """
    about_source = _pyproject(job)
    lent = checkout.lend(job, job.copied_source())
    wheel = _wheel(job, lent.folder, about_source)
    if not wheel.endswith("-none-any.whl"):
        raise NoWheel(
            f"{job.who}: its distribution is native ({os.path.basename(wheel)}), so it fits this machine only",
            where=job.place(_manifest(job)),
            help="keep what must be compiled in a package of its own, and have that as a dependency",
        )
    about = _read(wheel)
    installed = os.path.join(job.out, "installed")
    _install(job, wheel, installed, about)
    _remove_programs(installed, about)
    return Result(
        parts=(Folder(installed, leave_out=NOT_INSTALLED),),
        reads=(*lent.ignores, *(lent.commits if _asks_git(about_source) else ())),
        facts={
            "name": about.name,
            "version": about.version,
            "requires_python": about.requires_python,
            "requires": list(about.requires),
        },
    )


def _pyproject(job: Job) -> Mapping[str, Any]:
    """Return the project's pyproject.toml; nothing when it has none. Raises BadManifest (LB402)."""
    file = os.path.join(job.target.source, "pyproject.toml")
    try:
        with open(file, "rb", opener=regular.opener) as stream:
            return regular.toml(stream.read().decode())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadManifest(
            f"{job.who}: pyproject.toml cannot be read: {error}", where=job.place(file), help="correct it"
        ) from error


def _manifest(job: Job) -> str:
    file = os.path.join(job.target.source, "pyproject.toml")
    return file if os.path.exists(file) else os.path.join(job.target.source, "setup.py")


def _asks_git(pyproject: Mapping[str, Any]) -> bool:
    """Return whether the version or the list of files may come from the git checkout."""
    tools = pyproject.get("tool", {})
    is_written = "version" in pyproject.get("project", {}) or "version" in tools.get("poetry", {})
    requires = " ".join(map(str, pyproject.get("build-system", {}).get("requires", ()))).lower()
    return not is_written or any(word in requires for word in ("scm", "vcs", "git", "version", "dunamai"))


# build


def _wheel(job: Job, folder: str, pyproject: Mapping[str, Any]) -> str:
    out = os.path.join(job.scratch, "wheel")
    known_indexes = indexes.of(job.target.source, None, offline=job.offline)
    try:
        if job.target.options.get("resolver") == "pip":
            pip_sources.refuse_sources(job, _manifest(job), {**pyproject, "project": {}})
            return pip.build_wheel(job, folder, out, known_indexes)
        return uv.build_wheel(job, folder, out, known_indexes, python=_python(job, pyproject, known_indexes))
    except ToolFailed as error:
        raise _explain(job, error) from error


def _python(job: Job, pyproject: Mapping[str, Any], known_indexes: Indexes) -> str:
    """An interpreter that the project runs on, if this machine has one: a backend may run the project's own code."""
    wanted = str(pyproject.get("project", {}).get("requires-python", ""))
    if not wanted or _fits(".".join(map(str, sys.version_info[:3])), wanted):
        return sys.executable
    command = [job.tool("uv", uv.MEND), "python", "find", "--no-python-downloads", "--no-project", wanted]
    try:
        return job.run(command, extra_environment=known_indexes.environment).stdout.strip() or sys.executable
    except (ToolFailed, ToolMissing):
        return sys.executable


def _explain(job: Job, error: ToolFailed) -> LambdaBuildError:
    return explain_output(job, error, KNOWN_FAILURES, where=job.place(_manifest(job)), tail=error.tail)


# install


def _read(wheel: str) -> About:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        top = next(name.partition("/")[0] for name in names if name.split("/")[0].endswith(".dist-info"))
        metadata = HeaderParser().parsestr(archive.read(f"{top}/METADATA").decode("utf-8"))
        entry_points = f"{top}/entry_points.txt"
        declared = archive.read(entry_points).decode("utf-8") if entry_points in names else ""
    copied = (name.split("/", 2) for name in names)
    scripts = {parts[2] for parts in copied if parts[0].endswith(".data") and parts[1:2] == ["scripts"] and parts[2:]}
    return About(
        name=str(metadata["Name"]),
        version=str(metadata["Version"]),
        requires_python=str(metadata["Requires-Python"] or ""),
        requires=tuple(_requires(metadata)),
        scripts=frozenset({*_programs(declared), *scripts}),
    )


def _requires(metadata: Message) -> Iterator[str]:
    from packaging.requirements import Requirement

    for text in metadata.get_all("Requires-Dist", ()):
        requirement = Requirement(text)
        if requirement.marker is None or "extra" not in str(requirement.marker):
            yield str(requirement)


def _programs(entry_points: str) -> Iterator[str]:
    """Yield the programs of https://packaging.python.org/en/latest/specifications/entry-points/"""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(entry_points)
    for section in ("console_scripts", "gui_scripts"):
        yield from parser.options(section) if parser.has_section(section) else ()


def _install(job: Job, wheel: str, target: str, about: About) -> None:
    """From the wheel alone: nothing is resolved or fetched, and whether this machine's Python fits does not matter."""
    if job.target.options.get("resolver") == "pip":
        pip.install(job, wheel, target)
        return
    version = next((f"3.{minor}" for minor in MINORS if _fits(f"3.{minor}", about.requires_python)), "")
    command = [job.tool("uv", uv.MEND), "pip", "install", "--no-deps", "--target", target, wheel]
    command += ["--offline", "--no-index", "--no-cache", "--no-config", "--link-mode", "copy"]
    command += ["--no-installer-metadata", "--no-compile-bytecode", "--quiet", "--color", "never"]
    command += ["--python", sys.executable, *(["--python-version", version] if about.requires_python else [])]
    job.run(command)


def _fits(version: str, wanted: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def _remove_programs(installed: str, about: About) -> None:
    """Lambda starts none of them, and each names this machine's Python. What else is in bin/ is the distribution's."""
    folder = os.path.join(installed, "bin")
    for name in about.scripts:
        if os.path.exists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    if os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)
