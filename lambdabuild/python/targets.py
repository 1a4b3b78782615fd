"""Work out what a runtime can load: its Python, the glibc of its Amazon Linux, and the resulting tags and markers.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html (Amazon Linux 2 has glibc 2.26, 2023 has 2.34)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lambdabuild.core.errors import BadManifest
from lambdabuild.core.records import Struct

if TYPE_CHECKING:
    from packaging.tags import Tag

AMAZON_LINUX_2_UP_TO = (3, 11)
GLIBC_AL2, GLIBC_AL2023 = 26, 34
OLDEST = {"x86_64": 5, "aarch64": 17}
"""The oldest glibc 2.N that wheels were ever made for, by machine (PEP 600)."""
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
UV_GLIBCS = (17, 28, *range(31, 41))
"""The glibc 2.N that uv's --python-platform knows (uv 0.9 to 0.13)."""


class Platform(Struct, frozen=True):
    """The platform that loads the wheels: CPython 3.``minor`` on ``machine`` with glibc 2.``glibc``."""

    minor: int
    machine: str
    glibc: int

    @property
    def python(self) -> str:
        return f"3.{self.minor}"

    @property
    def tag(self) -> str:
        return f"manylinux_2_{self.glibc}_{self.machine}"

    @property
    def uv_platforms(self) -> tuple[str, ...]:
        """Return the platforms for uv: the newest glibc that is not too new, then the next (uv's list has a gap)."""
        below = max(glibc for glibc in UV_GLIBCS if glibc <= self.glibc)
        above = min(glibc for glibc in UV_GLIBCS if glibc >= self.glibc)
        return tuple(f"{self.machine}-manylinux_2_{glibc}" for glibc in dict.fromkeys((below, above)))

    def platforms(self) -> Iterator[str]:
        """Platform tags, the newest first; never ``linux_*``, which says nothing about glibc."""
        for glibc in range(self.glibc, OLDEST[self.machine] - 1, -1):
            yield f"manylinux_2_{glibc}_{self.machine}"
            if glibc in LEGACY:
                yield f"{LEGACY[glibc]}_{self.machine}"

    def tags(self) -> list[Tag]:
        """Return the tags that the runtime can load, the best first."""
        from packaging.tags import compatible_tags, cpython_tags

        version, platforms = (3, self.minor), list(self.platforms())
        interpreter = f"cp3{self.minor}"
        return [
            *cpython_tags(version, [interpreter], platforms),
            *compatible_tags(version, interpreter, platforms),
        ]

    def environment(self) -> dict[str, str]:
        """Return the values of environment markers there (PEP 508); none is the host's."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def platform_of(runtime: str, architecture: str, who: str) -> Platform:
    """Return the platform of a runtime such as ``python3.13`` (any later one too).

    Raises BadManifest (LB402) for others.
    """
    match = re.fullmatch(r"python3\.(\d+)", runtime)
    if match is None:
        raise BadManifest(
            f"{who}: {runtime or 'no runtime'} is not a Python of Lambda, so no wheels can be chosen",
            help="name one such as python3.13: Runtime of a function; BuildMethod or CompatibleRuntimes of a layer",
        )
    minor = int(match[1])
    machine = {"arm64": "aarch64"}.get(architecture, "x86_64")
    return Platform(minor, machine, GLIBC_AL2 if (3, minor) <= AMAZON_LINUX_2_UP_TO else GLIBC_AL2023)
