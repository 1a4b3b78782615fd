"""A repository of Maven modules in a folder: each module's jar has one file, which says whose it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

POM = (
    "<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>{name}</artifactId>"
    "<version>{version}</version>{packaging}<dependencies>{needs}</dependencies></project>"
)
NEED = "<dependency><groupId>example</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def publish(folder: Path, whose: str, name: str, version: str, *needs: tuple[str, str], packaging: str = "jar") -> None:
    """Put ``example:name:version`` there, which needs other modules of the group: ``("words", "99.0")``."""
    place = folder / "example" / name / version
    place.mkdir(parents=True)
    about = {"name": name, "version": version, "packaging": f"<packaging>{packaging}</packaging>"}
    listed = "".join(NEED.format(*need) for need in needs)
    (place / f"{name}-{version}.pom").write_text(POM.format(**about, needs=listed), encoding="utf-8")
    if packaging == "jar":
        with zipfile.ZipFile(place / f"{name}-{version}.jar", "w") as jar:
            jar.writestr(f"{name}.txt", whose)


def whose(jar: bytes, name: str) -> str:
    """Who published a module, as its jar says."""
    from io import BytesIO

    with zipfile.ZipFile(BytesIO(jar)) as archive:
        return archive.read(f"{name}.txt").decode()
