"""Jars that say nothing of the machine and the hour: sorted entries, one date, no traces in manifests."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping

from lambdabuild.core import regular

EPOCH = (1980, 1, 1, 0, 0, 0)
MANIFEST = "META-INF/MANIFEST.MF"
TRACES = re.compile(
    rb"^(?:Created-By|Built-By|Build-Jdk(?:-Spec)?|Build-Time(?:stamp)?|Build-Date|Bnd-LastModified|Archiver-Version):"
    rb".*\r?\n(?: .*\r?\n)*",
    re.MULTILINE | re.IGNORECASE,
)
"""Lines of a jar's manifest that depend on the machine and the time."""


def of_jar(jar: str) -> Mapping[str, bytes]:
    """Return the entries of a jar without traces."""
    with zipfile.ZipFile(jar) as archive:
        return {name: _without_traces(name, archive.read(name)) for name in archive.namelist()}


def of_folder(folder: str) -> Mapping[str, bytes]:
    """Return the entries of a jar of classes; folders too, because some frameworks look for classes by them."""
    members = {"META-INF/": b"", MANIFEST: b"Manifest-Version: 1.0\r\n\r\n"}
    for parent, folders, names in os.walk(folder):
        inside = os.path.relpath(parent, folder) + "/" if parent != folder else ""
        members |= {f"{inside}{name}/": b"" for name in folders}
        for name in names:
            with open(os.path.join(parent, name), "rb", opener=regular.opener) as stream:
                members[inside + name] = stream.read()
    return members


def write(target: str, content: Mapping[str, bytes]) -> None:
    """Write a jar, stored, because zlibs differ and the artifact is compressed anyway."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as jar:
        for name in sorted(content, key=lambda name: (name not in ("META-INF/", MANIFEST), name)):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3
            info.external_attr = (0o40755 if name.endswith("/") else 0o100644) << 16
            jar.writestr(info, content[name])


def _without_traces(name: str, content: bytes) -> bytes:
    if name == MANIFEST:
        return TRACES.sub(b"", content)
    return re.sub(rb"(?m)^#.*\n", b"", content) if name.endswith("/pom.properties") else content
