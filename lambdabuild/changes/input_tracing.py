"""Find the files each build reads: a build asks ``engine.inputs`` the same, but here nothing is hashed.

Files that only a run reveals are known from the previous run, if its inputs have not changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import Struct, replace
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.receipts import Saved
from lambdabuild.engine.base.site import Shared, Site
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.containers import context
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.noop import snapshot_writer
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.files.watch import ITSELF, Seen
from lambdabuild.plan.steps import task_name
from lambdabuild.plan.types import BuildKey, ResolutionKey

NOT_ASKED = frozenset({"tool", "image", "dockerfile"})


class Reads(Struct, frozen=True):
    """Real paths. ``folders`` are those whose names are listed; ``files`` may not exist."""

    files: frozenset[str]
    folders: frozenset[str]
    unknown: str = ""
    """The step that may read more than this; "" when nothing does."""


class _Noting(StatCache):
    """Record the paths that are looked at. Answers nothing, so that no file is read and no tool started."""

    def digest(self, path: str, stat: os.stat_result | None = None) -> str:
        self.saw(path)
        if stat is None:
            os.stat(path)
        return ""

    def folder(self, *_: Any) -> str:
        return ""

    def fact(self, *_: Any) -> str:
        return ""


class _WithoutTools(StatCache):
    """A stat cache that knows digests, but asks no tool for its version."""

    def fact(self, *_: Any) -> str:
        return ""


class Reader:
    """Answers for one site."""

    def __init__(self, site: Site, saved: Saved) -> None:
        self.saved = saved
        self._noting = _Noting(os.devnull)
        self._site = replace(site, stats=self._noting, shared=Shared())
        self._toolless = replace(site, stats=_WithoutTools(os.path.join(site.state_dir, "stats")), shared=Shared())
        self._real: dict[str, tuple[str, tuple[str, ...]]] = {}

    def of(self, unit: str) -> Reads:
        """Return what a build or an asset reads. Raises LambdaBuildError when its source cannot be listed."""
        seen = Seen()
        self._site.shared.rule_digests.clear()  # each unit is to look at the rules that it has
        unknown = ""
        steps = snapshot_writer.steps(self._site, unit)
        if unit in self._site.sharers:  # which of its packages lie in a layer depends on all who take part
            steps += [("resolve", sharer.resolution) for sharer in self._site.sharers.values()]
        for kind, name in dict.fromkeys(steps):
            with self._noting.watched() as looked_at:
                kind_of(self._site, kind).inputs(self._site, name, self.saved)
                self._revealed(self._site, kind, name)
            seen.update(looked_at)
            unknown = unknown or ("" if self._is_known(kind, name) else f"{kind}:{name}")
        with self._noting.watched() as looked_at:
            for dockerfile in _dockerfiles(self._site, unit):
                context.dockerfile_digest(self._site, dockerfile)
        seen.update(looked_at)
        return self._reads(seen, unknown)

    def _revealed(self, site: Site, kind: str, name: str) -> dict[str, str]:
        return inputs.reads(site, self.saved(task_name(kind, name)).get("reads", ()))

    def _is_known(self, kind: str, name: str) -> bool:
        return not kind_of(self._site, kind).reveals(self._site, name) or self._ran_with_the_same(kind, name)

    def _ran_with_the_same(self, kind: str, name: str) -> bool:
        """Return whether a step's last run had the inputs it has now, apart from versions of tools and images."""
        site, values = self._toolless, self.saved(task_name(kind, name))
        receipt = receipts.read(site.receipt(kind, name))
        if receipt is None or not values.get("inputs"):
            return False
        try:
            now = kind_of(site, kind).inputs(site, name, self.saved) | self._revealed(site, kind, name)
        except (LambdaBuildError, OSError):
            return False
        return dict(_without_tools({**receipt.components, **receipt.reads})) == dict(_without_tools(now))

    def _reads(self, seen: Seen, unknown: str) -> Reads:
        files: set[str] = set()
        folders: set[str] = set()
        for folder, *names in seen.folders():
            real, links = self._resolved(folder)
            files.update(links)
            folders.update({real} if ITSELF in names else ())
            files.update(os.path.join(real, name) for name in names if name != ITSELF)
        return Reads(frozenset(files), frozenset(folders), unknown)

    def _resolved(self, folder: str) -> tuple[str, tuple[str, ...]]:
        """Return a folder's real path, and the links on the way to it."""
        if folder not in self._real:
            above, name = os.path.split(folder)
            if not name:
                return folder, ()
            real, links = self._resolved(above)
            path = os.path.join(real, name)
            if os.path.islink(path):
                target = os.path.normpath(os.path.join(real, os.readlink(path)))
                path, more = self._resolved(target)
                links = (*links, os.path.join(real, name), *more)
            self._real[folder] = path, links
        return self._real[folder]


def _without_tools(components: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Return the components that no engine or tool has to be asked for; a changed Dockerfile shows in its files."""
    return ((name, value) for name, value in components.items() if name.partition(":")[0] not in NOT_ASKED)


def _dockerfiles(site: Site, unit: str) -> set[str]:
    """Return the Dockerfiles of the containers in which a build's tools run."""
    build = site.builds.get(unit)
    if build is None:
        return set()
    keys: list[BuildKey | ResolutionKey] = [build.key, *(site.resolution(name).key for name in build.resolutions)]
    return {key.container.dockerfile for key in keys if key.container.dockerfile}
