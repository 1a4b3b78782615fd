"""The files of an image with Python, Node.js and compilers, taken from this machine's own Debian packages.

No image can be pulled in a test, and debootstrap would fetch 400 packages. These are here already: the tests of the
rules need them. ``python tests/base_image.py`` writes the tar of a root file system to standard output.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PACKAGES = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "debianutils", "findutils", "g++", "gcc", "git", "grep",
    "gzip", "libc-bin", "libc6-dev", "make", "procps", "python3", "python3-dev", "python3-distutils", "python3-pip", "ruby",
    "ruby-bundler", "ruby-dev", "sed", "tar",
)  # fmt: skip
PYTHON = "/usr/bin/python3"
"""Debian's, whatever runs the tests."""
OPTIONAL = frozenset({"python3-distutils"})
"""Debian 13 has it no more."""
LEFT_OUT = re.compile(
    r"/usr/share/(doc|man|locale|info|lintian|bug|perl|perl5|ri|i18n|zoneinfo|gdb|gcc|fonts|bash-completion)/|/__pycache__/"
    r"|/usr/lib/[^/]+/perl|lto-dump|/(lto1|cc1obj|f951)$|/lib(asan|tsan|lsan|hwasan|ubsan)\.|/git-core/(git|scalar)-(?!remote)"
    r"|/lib(python|std|sup|m-|ruby)[^/]*\.a$|/usr/lib/python3/dist-packages/(?!pip|setuptools|pkg_resources|wheel|_distutils)"
)
FOLDERS = ("dev", "etc", "home", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp", "work")
FILES = (
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/os-release", "/usr/lib/os-release", "/usr/bin/c++",
    "/usr/bin/cc", "/usr/bin/awk", "/usr/bin/which", "/bin/sh", "/etc/ssl/certs/ca-certificates.crt",
)  # fmt: skip
"""Made when packages are installed, so that none lists them."""
MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Contents:
    """What is in an image: Debian packages with all that they depend on, and programs from wherever they are."""

    name: str
    packages: tuple[str, ...]
    programs: tuple[str, ...] = ()

    def identity(self) -> str:
        """The digest of all that the image is made of."""
        said = _run(
            "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n", *sorted(_closure(self.packages))
        )
        versions = [_run(program, "--version") for program in self.programs]
        return hashlib.sha256("\0".join([Path(__file__).read_text(), said, *versions]).encode()).hexdigest()[:16]

    def write(self, stream: IO[bytes]) -> None:
        """Write the tar of a root file system."""
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            for name in FOLDERS:
                archive.addfile(_folder(name, 0o1777 if name.endswith("tmp") else 0o755))
            for name, target in MERGED.items():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                archive.addfile(link)
            _add(archive, _files(self))


WHOLE = Contents("base", PACKAGES, ("node", "npm"))
SMALL = Contents("small", ("base-files", "coreutils", "dash", "libc-bin", "make"))


def missing() -> list[str]:
    """Debian packages that the images need and this machine does not have."""
    there = _installed(PACKAGES)
    return [name for name in PACKAGES if name not in there and name not in OPTIONAL]


def _add(archive: tarfile.TarFile, found: Iterable[str]) -> None:
    ahead, seen = sorted(set(found)), {f"/{name}" for name in MERGED}
    while ahead:
        path = ahead.pop()
        place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))  # /bin is /usr/bin
        if place in seen or not os.path.lexists(place) or (os.path.isdir(place) and not os.path.islink(place)):
            continue
        seen.add(place)
        if os.path.islink(place):
            ahead.append(os.path.normpath(os.path.join(os.path.dirname(place), os.readlink(place))))
        archive.add(place, place.lstrip("/"), recursive=False)


def _folder(name: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info


def _files(contents: Contents) -> Iterator[str]:
    listed = _run("dpkg", "-L", *sorted(_closure(contents.packages))).splitlines()
    programs = [os.path.realpath(shutil.which(program) or program) for program in contents.programs]
    chosen = [path for path in listed if path.startswith("/") and not LEFT_OUT.search(path) and os.path.lexists(path)]
    yield from chosen
    yield from FILES
    yield from (shutil.which(program) or program for program in contents.programs)
    for program in programs:
        if program.endswith(".js"):  # npm is a folder
            yield from _below(os.path.dirname(os.path.dirname(program)))
            yield from _below("/usr/include/node")
    yield from _libraries([*chosen, *programs])


def _below(folder: str) -> Iterator[str]:
    for top, _, names in os.walk(folder):
        yield from (os.path.join(top, name) for name in names)


def _libraries(files: Iterable[str]) -> set[str]:
    """What the programs load, wherever that comes from."""
    native = sorted({path for path in files if os.path.isfile(path) and _is_native(path)})
    return set(re.findall(r"(?:=> |^\t)(/\S+)", _run("ldd", *native), re.MULTILINE))


def _is_native(path: str) -> bool:
    if not (os.stat(path).st_mode & stat.S_IXUSR or ".so" in path):
        return False
    with open(path, "rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _closure(names: Iterable[str]) -> set[str]:
    """The packages and all that they depend on, of those that are installed."""
    said = _run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n")
    rows = [line.split("\t") for line in said.splitlines() if line.startswith("ii")]
    needs = {name: _names(depends) for _, name, depends, _ in rows}
    provided = {virtual: name for _, name, _, provides in rows for virtual in _names(provides)}
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        name = name if name in needs else provided.get(name, "")
        if name and name not in found:
            found.add(name)
            ahead += needs[name]
    return found


def _names(relation: str) -> list[str]:
    return [re.split(r"[ :(]", part.strip())[0] for part in re.split(r"[,|]", relation) if part.strip()]


def _installed(names: Iterable[str]) -> set[str]:
    said = _run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\n", *names)
    return {line.split("\t")[1] for line in said.splitlines() if line.startswith("ii")}


def _run(*command: str) -> str:
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False).stdout
