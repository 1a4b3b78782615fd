"""Gather what a package of a workspace needs, wherever a tool installed it, in one node_modules folder of real files.

npm puts a member's packages partly into the root's node_modules, pnpm behind links into a store, and siblings are links
to their folders. Here each package goes where Node.js finds it from the package that needs it: into the node_modules at
the top, or, where that has a different version, next to the package that needs it.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterator, Mapping

from lambdabuild.core.records import Struct, field
from lambdabuild.node.installed import NOT_PUBLISHED, is_installed
from lambdabuild.node.platforms import about_of, found

NOTES = frozenset({".bin", ".cache", ".pnpm", ".yarn-state.yml"})
"""Folders of the tools' own in a node_modules folder."""
KINDS = ("dependencies", "optionalDependencies", "peerDependencies")
DEVELOPMENT = (*KINDS, "devDependencies")


class Place(Struct, eq=False):
    """The place in the artifact that a package goes to. ``real`` is the folder that it comes from."""

    path: str
    real: str
    around: Place | None = None
    modules: dict[str, Place] = field(default_factory=dict)

    def sees(self, name: str) -> Place | None:
        """Return the package that Node.js finds under a name from here."""
        place: Place | None = self
        while place is not None and name not in place.modules:
            place = place.around
        return place.modules[name] if place is not None else None


def write(out: str, packages: Mapping[str, str], root: str = "") -> None:
    """Write what packages need into the node_modules folders of ``out``.

    ``packages`` are the folders of those whose code is in the artifact, by their paths there; "" is the top. With the
    workspace's ``root`` what is for development counts too, as far as it is installed, the root's after theirs.
    """
    top = Place("", os.path.realpath(packages[""]))
    own = [top, *(Place(path, os.path.realpath(real), top) for path, real in packages.items() if path)]
    _fill(out, top, own, DEVELOPMENT if root else KINDS)
    if root:
        _fill(out, top, [Place("", os.path.realpath(root), modules=top.modules)], DEVELOPMENT)


def _fill(out: str, top: Place, own: list[Place], kinds: tuple[str, ...]) -> None:
    """Give packages, and those they need, what is not found from where they are."""
    ahead = deque(own)
    while ahead:
        place = ahead.popleft()
        for name, real in _needed(place.real, kinds if place in own else KINDS):
            if place.real != top.real and place.path == "" and name in top.modules:
                continue  # the root is not in the artifact: where a member has another version, that is it
            seen = place.sees(name)
            if seen is None or seen.real != real:
                home = top if seen is None else place
                home.modules[name] = Place(os.path.join(home.path, "node_modules", name), real, home)
                _copy(real, os.path.join(out, home.path, "node_modules", name))
                _copy_generated(real, os.path.join(out, home.path))
                ahead.append(home.modules[name])


def _copy_generated(real: str, home: str) -> None:
    """Copy what scripts generate next to packages, such as Prisma's ``node_modules/.prisma``."""
    modules = real
    while os.path.basename(modules) != "node_modules" and os.path.dirname(modules) != modules:
        modules = os.path.dirname(modules)
    for name in os.listdir(modules) if os.path.basename(modules) == "node_modules" else ():
        path, target = os.path.join(modules, name), os.path.join(home, "node_modules", name)
        if name.startswith(".") and name not in NOTES and os.path.isdir(path) and not os.path.exists(target):
            shutil.copytree(path, target, ignore_dangling_symlinks=True)


def _needed(folder: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The packages that one names and that are there, but for those that it brings along, each with its real folder."""
    about = about_of(folder) if folder else {}
    named = {name for kind in kinds for name in about.get(kind) or {}}
    bundled = _bundled(folder)
    for name in sorted(named - bundled):
        real = found(folder, name)
        if real is not None and real != folder:
            yield name, real


def _bundled(folder: str) -> set[str]:
    """Return the packages inside a package (bundledDependencies); they stay where they are."""
    about = about_of(folder) if folder else {}
    named = about.get("bundledDependencies", about.get("bundleDependencies", []))
    if named is True:
        named = list(about.get("dependencies") or {})
    here = os.path.join(folder, "node_modules")
    is_there = (name for name in named or () if os.path.isdir(os.path.join(here, name)))
    return (
        {name for name in is_there if not os.path.islink(os.path.join(here, name))} if is_installed(folder) else set()
    )


def _copy(real: str, target: str) -> None:
    bundled = _bundled(real)

    if not is_installed(real):
        ignored = shutil.ignore_patterns("node_modules", *NOT_PUBLISHED)
        shutil.copytree(real, target, ignore=ignored, ignore_dangling_symlinks=True, dirs_exist_ok=True)
        return

    def left_out(folder: str, names: list[str]) -> set[str]:
        if folder != real or bundled:
            return {".bin"} & set(names) if os.path.basename(folder) == "node_modules" else set()
        return {"node_modules", ".git"} & set(names)

    shutil.copytree(real, target, ignore=left_out, ignore_dangling_symlinks=True, dirs_exist_ok=True)
