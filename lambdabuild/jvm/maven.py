"""Read Maven's poms: what one says, its parents, its modules.

The format: https://maven.apache.org/pom.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from lambdabuild.rule_api import BadManifest, Job, syntax_error

AGGREGATOR = "lambdabuild-layers.xml"


@dataclass(frozen=True)
class Pom:
    """The content of a pom.xml. Paths are absolute."""

    file: str
    text: str
    artifact: str
    group: str
    packaging: str
    parent: str
    """The parent's file, which may be missing; "" for a parent that only a repository has."""
    wanted: tuple[str, str]
    """Group and artifact id of the parent that it asks for."""
    modules: tuple[str, ...]
    missing: tuple[str, ...]
    """Modules of any profile that do not exist."""
    coordinates: frozenset[tuple[str, str]]
    """Group and artifact ids of the dependencies."""

    @property
    def coordinate(self) -> tuple[str, str]:
        return self.group, self.artifact

    @property
    def dependencies(self) -> frozenset[str]:
        return frozenset(artifact for _, artifact in self.coordinates)

    @property
    def folder(self) -> str:
        return os.path.dirname(self.file)


def read_pom(job: Job, file: str) -> Pom:
    """Return what a pom.xml says. Raises BadManifest (LB402) when it is not XML."""
    try:
        with open(file, "rb") as stream:
            content = stream.read()
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise syntax_error(job, file, "XML", error, line, column + 1) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    folder = os.path.dirname(file)
    return Pom(
        file=file,
        text=content.decode("utf-8", "replace"),
        artifact=_text(root, "artifactId"),
        group=_text(root, "groupId") or _text(root, "parent/groupId"),
        packaging=_text(root, "packaging") or "jar",
        parent=_parent(folder, root),
        wanted=(_text(root, "parent/groupId"), _text(root, "parent/artifactId")),
        modules=tuple(_pom_at(folder, module.text or "") for module in root.iter("module")),
        missing=tuple(
            path for m in root.iterfind("modules/module") if not os.path.isfile(path := _pom_at(folder, m.text or ""))
        ),
        coordinates=frozenset(
            (_own_or(_text(named, "groupId"), root), _text(named, "artifactId")) for named in root.iter("dependency")
        ),
    )


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _own_or(group: str, root: ElementTree.Element) -> str:
    """Return a group as it is written, or the pom's own where a variable stands for that."""
    own = _text(root, "groupId") or _text(root, "parent/groupId")
    return own if group in ("${project.groupId}", "${pom.groupId}") else group


def _parent(folder: str, root: ElementTree.Element) -> str:
    parent = root.find("parent")
    path = None if parent is None else parent.findtext("relativePath", "../pom.xml").strip()
    return _pom_at(folder, path) if path else ""


def _pom_at(folder: str, path: str) -> str:
    """Return the pom that a relative path leads to; the path may name a pom or its folder."""
    target = os.path.normpath(os.path.join(folder, path.strip()))
    return os.path.join(target, "pom.xml") if os.path.isdir(target) else target


def parents(job: Job, pom: Pom) -> Iterator[Pom]:
    """Yield the parents that have a file.

    A path that is written and leads to no such parent raises BadManifest (LB402): Maven would go on silently and take
    whatever a repository has under that name.
    """
    seen = {pom.file}
    while pom.parent not in seen:
        if not os.path.isfile(pom.parent):
            _check_parent(job, pom, "which does not exist")
            return
        parent = read_pom(job, pom.parent)
        if parent.coordinate != pom.wanted and "$" not in "".join(parent.coordinate):
            _check_parent(job, pom, f"which is {':'.join(parent.coordinate)}, not {':'.join(pom.wanted)}")
        pom = parent
        seen.add(pom.file)
        yield pom


def _check_parent(job: Job, pom: Pom, wrong: str) -> None:
    written = re.search(r"<relativePath>\s*[^<\s]", pom.text)
    if written and pom.parent:
        raise BadManifest(
            f"{job.who}: the parent is to be {os.path.relpath(pom.parent, job.target.project)}, {wrong}",
            where=job.place(pom.file, pom.text.count("\n", 0, written.start()) + 1),
            help="correct <relativePath>, or write <relativePath/> when the parent comes from a repository",
        )


def modules(job: Job, top: Pom) -> Iterator[Pom]:
    """Yield a pom, its modules, and theirs. A missing module is left to Maven, which reports it."""
    yield top
    for file in top.modules:
        if os.path.isfile(file):
            yield from modules(job, read_pom(job, file))


def check_modules(job: Job, built: list[Pom], modules: tuple[Pom, ...]) -> None:
    """Raise LB402 if a module is not there that may be what a pom depends on: a repository may have one of its name."""
    groups, known = {pom.group for pom in modules}, {pom.coordinate for pom in modules}
    unknown = {named for pom in built for named in pom.coordinates - known if named[0] in groups}
    for pom in modules if unknown else ():
        for file in pom.missing:
            raise BadManifest(
                f"{job.who}: {os.path.relpath(pom.file, job.target.project)} has the module "
                f"{os.path.relpath(file, pom.folder)}, which does not exist and may be {':'.join(min(unknown))}",
                where=job.place(pom.file),
                help="bring the module back, or take it out of <modules>",
            )


def aggregator(modules: tuple[str, ...]) -> Pom:
    """Return a pom of our own above these modules; its only use is that Maven knows them all."""
    top = os.path.commonpath([os.path.dirname(file) for file in modules])
    names = "".join(f"<module>{escape(os.path.relpath(file, top))}</module>" for file in modules)
    about = (
        "<groupId>lambdabuild</groupId><artifactId>layers</artifactId><version>1</version><packaging>pom</packaging>"
    )
    text = f"<project><modelVersion>4.0.0</modelVersion>{about}<modules>{names}</modules></project>\n"
    return Pom(
        os.path.join(top, AGGREGATOR), text, "layers", "lambdabuild", "pom", "", ("", ""), modules, (), frozenset()
    )
