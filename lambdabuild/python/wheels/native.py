"""Wheels that must be compiled: built in the function's container, and kept in the machine's store for all projects."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import threading
import zipfile
from collections import defaultdict
from pathlib import Path

from lambdabuild.core.atomic import writing
from lambdabuild.core.errors import BadManifest, NoWheel, ToolFailed, WrongImage
from lambdabuild.python.targets import platform_of
from lambdabuild.rule_api import Job

PROBE = """import sys, json; print(json.dumps(sys.version_info[:2]))"""
BUILD = """\
set -e
place=$1; source=$2; out=$3; python=$4
rm -rf "$place"; mkdir -p "$place"; cp -R "$source" "$place/source"; cd "$place/source"
TMPDIR=$place "$python" -m pip wheel --no-deps --no-cache-dir --disable-pip-version-check --quiet --wheel-dir "$out" .
cd /; rm -rf "$place"
"""
"""The folder is the same at every build of a package, because compilers write it into their output."""
FLAGS = {"CFLAGS": "-g0 -O2", "CXXFLAGS": "-g0 -O2", "SOURCE_DATE_EPOCH": "315532800"}
"""Debug information names folders and is of no use in Lambda."""

SOURCES = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".rs", "/CMakeLists.txt", "/meson.build")
"""Files to compile. A package that can do without them would silently be built here without them."""

_turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
_asking = threading.Lock()


def wheel(job: Job, name: str, source: str) -> str:
    """Return the path in the store of a wheel of a folder or an sdist, after building it if necessary.

    Raises NoWheel (LB403) with the compiler's words, WrongImage (LB805) for an image with another Python.
    """
    key = _key(job, source)
    with _turn(key):
        stored = _stored(job, key)
        return stored or _build(job, name, source, key)


def has_native_source(source: str) -> bool:
    """Return whether a folder or an sdist has something to compile."""
    if os.path.isdir(source):
        names = [f"{folder}/{name}" for folder, _, files in os.walk(source) for name in files]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
    elif tarfile.is_tarfile(source):
        with tarfile.open(source) as tar:
            names = tar.getnames()
    else:
        names = []
    return any(name.endswith(SOURCES) for name in names)


def _turn(key: str) -> threading.Lock:
    with _asking:
        return _turns[key]


def _key(job: Job, source: str) -> str:
    """Return a digest of everything that the built wheel depends on."""
    assert job.container is not None
    target = platform_of(job.target.runtime, job.target.architecture, job.who)
    content = [_digest(source), f"cp3{target.minor}", target.machine, job.container.identity]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _digest(source: str) -> str:
    """Return the sha256 of an archive; of a folder's names and contents."""
    if os.path.isfile(source):
        with open(source, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    rows = []
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(set(folders) - {".git"})
        rows += [
            (os.path.relpath(path, source), _digest(path))
            for name in names
            if os.path.isfile(path := os.path.join(folder, name))
        ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def _stored(job: Job, key: str) -> str:
    home = os.path.join(job.store, "built", key)
    for path in map(str, sorted(Path(home).glob("*/*.whl"))):
        if job.is_whole(path, os.path.basename(os.path.dirname(path))):
            return path
    return ""


def _build(job: Job, name: str, source: str, key: str) -> str:
    inside = job.contained()
    python = interpreter(inside)
    _check_pip(inside, python)
    with tempfile.TemporaryDirectory(dir=job.scratch, prefix="native-") as work:
        folder, out = _unpacked(job, source, work), os.path.join(work, "wheel")
        os.makedirs(out)
        place = f"/tmp/lambdabuild/{key[:16]}"
        try:
            inside.run(["sh", "-c", BUILD, "sh", place, folder, out, python], extra_environment=FLAGS)
        except ToolFailed as error:
            raise NoWheel(
                f"{job.who}: {name} has no wheel, and cannot be built in the container",
                tail=error.tail,
                help="the compiler's words say what is missing; name an image that has it (image, images, dockerfile)",
            ) from error
        return _kept(job, next(os.path.join(out, made) for made in os.listdir(out) if made.endswith(".whl")), key)


def _unpacked(job: Job, source: str, work: str) -> str:
    if os.path.isdir(source):
        return source
    folder = os.path.join(work, "sdist")
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                archive.extractall(folder)
        else:
            with tarfile.open(source) as tar:
                tar.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise BadManifest(
            f"{job.who}: {os.path.basename(source)} cannot be unpacked: {error}", help="take another version of it"
        ) from error
    tops = os.listdir(folder)
    return os.path.join(folder, tops[0]) if len(tops) == 1 else folder


def _kept(job: Job, made: str, key: str) -> str:
    """Put the wheel into the store, whole or not at all, under its digest; return its path there."""
    folder = os.path.join(job.store, "built", key, job.digest(made))
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, os.path.basename(made))
    with open(made, "rb") as wheel, writing(target, 0o444) as stream:
        shutil.copyfileobj(wheel, stream)
    return target


def interpreter(inside: Job) -> str:
    """Return the container's Python of the runtime's version. Raises WrongImage (LB805) when it has none."""
    wanted = inside.target.runtime
    for name in (wanted, "python3", "python"):
        path = inside.runner.find(name)
        if path is None:
            continue
        version = ".".join(map(str, json.loads(inside.run([path, "-c", PROBE]).stdout)))
        if f"python{version}" == wanted:
            return path
    raise WrongImage(
        f"{inside.who} runs on {wanted}, which its container does not have",
        help="name an image of that version (image, images, dockerfile)",
    )


def _check_pip(inside: Job, path: str) -> None:
    try:
        inside.run([path, "-m", "pip", "--version"])
    except ToolFailed as error:
        raise WrongImage(
            f"{inside.who}: the Python of its container has no pip",
            tail=error.tail,
            help="name an image that has it (image, images, dockerfile)",
        ) from error
