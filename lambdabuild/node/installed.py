"""Turn the node_modules folder that a tool left into a part of real files, with its packages as facts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping

from lambdabuild.core import regular
from lambdabuild.node.scripts import BESIDE
from lambdabuild.rule_api import Folder, Job, Part, Result

MADE_BY_GYP = (
    "binding.Makefile", "config.gypi", "Makefile", "*.target.mk", "gyp-mac-tool", "node_gyp_bins/", "Release/.deps/",
    "Release/obj/", "Release/obj.target/", "Release/.forge-meta",
)  # fmt: skip
"""Files that node-gyp builds an add-on from and with; they name folders of the machine."""
LEAVE_OUT = (
    "/node_modules/.package-lock.json", "/node_modules/.bin/", "/node_modules/.cache/", "/node_modules/.pnpm/",
    "/node_modules/.modules.yaml", "/node_modules/.pnpm-workspace-state*", "/node_modules/.yarn-integrity",
    "/node_modules/.yarn-state.yml", "/node_modules/.package-map.json",
    *(f"/node_modules/**/build/{name}" for name in MADE_BY_GYP), f"/{BESIDE}/",
)  # fmt: skip
"""The tools' own notes and links to programs, which Lambda never runs; .cache is written by post-install scripts."""
NOT_PUBLISHED = (".git", ".npmrc", ".env", ".env.*", ".netrc", ".aws")
"""Folders of a sibling that stay out: they are for the machine that it is developed on."""


def is_installed(folder: str) -> bool:
    """Return whether a tool installed a package; a member of the workspace is the developer's own folder."""
    return "node_modules" in folder.split(os.sep)


def shipped(
    job: Job, modules: str, reads: Iterable[str], notes: Iterable[str] = (), written: tuple[Part, ...] = ()
) -> Result:
    """The result of a resolve step that installed into ``modules``, which may be missing when nothing was wanted."""
    if os.path.isdir(modules):
        _copied(modules, os.path.join(job.out, "node_modules"), {})
    return of_out(job, reads, notes, written)


def of_out(job: Job, reads: Iterable[str], notes: Iterable[str] = (), written: tuple[Part, ...] = ()) -> Result:
    """The result of a resolve step that wrote node_modules folders into ``job.out``; none when nothing was wanted.

    ``written`` is what the package's own scripts left next to node_modules.
    """
    reads, notes = tuple(sorted(set(reads))), tuple(notes)
    folders = sorted(_modules(job.out))
    if not folders:
        return Result(parts=written, reads=reads, notes=notes)
    facts = [fact for folder in folders for fact in packages(folder)]
    return Result(
        parts=(Folder(job.out, leave_out=LEAVE_OUT), *written),
        reads=reads,
        notes=notes,
        facts={"packages": sorted(facts, key=lambda fact: (fact["name"], fact["version"]))},
    )


def _modules(top: str) -> Iterator[str]:
    """Yield the node_modules folders below a folder, but for those inside others."""
    for folder, names, _ in os.walk(top):
        if "node_modules" in names:
            yield os.path.join(folder, "node_modules")
        names[:] = [name for name in names if name != "node_modules"]


def _copied(source: str, target: str, above: Mapping[str, str]) -> None:
    """A folder with what its links point to in place of them.

    ``above`` are the linked packages of the node_modules folders around it. One that is there already is not copied
    again: Node.js finds that one, and packages that need one another come to an end.
    """
    os.makedirs(target, exist_ok=True)
    linked = dict(_links(source))
    own = set() if is_installed(source) else shutil.ignore_patterns(*NOT_PUBLISHED)(source, os.listdir(source))
    for name in _names(source):
        path, copy = os.path.join(source, name), os.path.join(target, name)
        if name == ".bin" or name in own or (name in linked and above.get(name) == linked[name]):
            continue
        if os.path.isdir(path):
            _copied(os.path.realpath(path), copy, {**above, **linked})
        elif os.path.exists(path):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(path, copy)


def _names(folder: str) -> Iterator[str]:
    """Yield the entries of a folder; of a node_modules folder the packages, ``@scope/name`` too."""
    is_modules = os.path.basename(folder) == "node_modules"
    for name in sorted(os.listdir(folder)):
        inner = os.path.join(folder, name)
        if is_modules and name.startswith("@") and os.path.isdir(inner):
            yield from (f"{name}/{entry}" for entry in sorted(os.listdir(inner)))
        else:
            yield name


def _links(folder: str) -> Iterator[tuple[str, str]]:
    """Yield each linked package of a node_modules folder with its real path."""
    for name in _names(folder) if os.path.basename(folder) == "node_modules" else ():
        path = os.path.join(folder, name)
        if os.path.islink(path):
            yield name, os.path.realpath(path)


def packages(modules: str) -> Iterator[dict[str, str]]:
    """Name and version of every package below a node_modules folder, nested ones too."""
    for folder, about in found(modules):
        yield {"name": str(about.get("name", os.path.basename(folder))), "version": str(about.get("version", ""))}


def found(modules: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the folder and package.json of every package below a node_modules folder, nested ones too."""
    for entry in sorted(os.listdir(modules)):
        folder = os.path.join(modules, entry)
        if entry.startswith("@"):
            yield from found(folder)
        elif os.path.isfile(os.path.join(folder, "package.json")):
            about = regular.json(regular.read_text(os.path.join(folder, "package.json"), errors="replace"))
            yield folder, about
            inner = os.path.join(folder, "node_modules")
            if os.path.isdir(inner):
                yield from found(inner)
