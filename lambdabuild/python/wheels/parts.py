"""Wheels as parts of an artifact: where their files go, and what of them records a machine."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile

from lambdabuild.core.errors import HashMismatch
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.python.locks import Wheel
from lambdabuild.rule_api import Archive

NOT_FROM_WHEEL = (
    "/*.dist-info/RECORD", "/*.dist-info/RECORD.*", "/*.dist-info/INSTALLER", "/*.dist-info/REQUESTED",
    "/*.dist-info/direct_url.json", "/*.data/scripts/", "/*.data/headers/", "__pycache__/", "*.pyc",
)  # fmt: skip
"""Written at installation, or of no use there: RECORD names what was left out, scripts hold a machine's path."""
NOT_FROM_BUILT = (*NOT_FROM_WHEEL, "/*.dist-info/WHEEL")
"""WHEEL names the version of the backend, which is this machine's."""
SPREAD = ("purelib", "platlib", "data")
"""Folders of ``<package>.data`` that belong next to the package (the wheel format's page on packaging.python.org)."""


def archive(wheel: Wheel, path: str) -> Archive:
    """Return a wheel in the store as a part. Raises HashMismatch (LB404) when it is no zip."""
    try:
        with zipfile.ZipFile(path) as opened:
            tops = {name.partition("/")[0] for name in opened.namelist()}
    except zipfile.BadZipFile as error:
        raise HashMismatch(
            f"{wheel.file_name} is no wheel: {error}",
            where=Span(path),
            help="remove the file, so that it is fetched again",
        ) from error
    data = sorted(top for top in tops if top.endswith(".data"))
    moves = tuple((f"{top}/{kind}/", "") for top in data for kind in SPREAD)
    return Archive(path, moves=moves, leave_out=NOT_FROM_WHEEL, origin=f"{wheel.name} {wheel.version}")


def built_archive(name: str, path: str) -> Archive:
    """Return the choice for a wheel that was built in a container."""
    version = os.path.basename(path).split("-")[1]
    whole = archive(Wheel(name, version, os.path.basename(path), "", ""), path)
    return replace(whole, leave_out=NOT_FROM_BUILT)


def unpack(wheel: str, folder: str) -> None:
    """The same on disk: every file where it belongs; what may be run still may."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            path = archive.extract(info, folder)
            if info.external_attr >> 16 & stat.S_IXUSR:
                os.chmod(path, 0o755)
    for top in os.listdir(folder):
        for kind in SPREAD if top.endswith(".data") else ():
            inner = os.path.join(folder, top, kind)
            if os.path.isdir(inner):
                shutil.copytree(inner, folder, dirs_exist_ok=True)
                shutil.rmtree(inner)
