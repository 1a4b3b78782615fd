"""Run a package's own install scripts in a copy of the files next to package.json, and ship what they write."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from lambdabuild.rule_api import Folder, Job, Part

NOT_WRITTEN = (
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "pnpm-workspace.yaml",
    ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnp.cjs", ".pnp.loader.mjs",
)  # fmt: skip
"""Files that tools, and lambdabuild itself, write next to node_modules."""
NOT_ENTERED = frozenset({"node_modules", ".yarn", ".git"})
BESIDE = ".beside"
"""The folder in ``job.out`` for the files that scripts wrote."""

Stamp = tuple[int, int]


class Beside:
    """The files next to a package.json, in the copy in which a tool installs; none without scripts."""

    def __init__(self, job: Job, folder: str, work: str) -> None:
        self.job, self.folder, self.work = job, folder, work
        for name in job.files:
            target = os.path.join(work, name)
            if not os.path.lexists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(os.path.join(folder, name), target)
                os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)
        self.before = dict(self._stamps()) if job.files else {}

    def written(self) -> tuple[Part, ...]:
        """Return what scripts made or changed in the code folder since then, as a part that goes before the source."""
        if not self.job.files:
            return ()
        out = os.path.join(self.job.out, BESIDE)
        for name, stamp in self._stamps():
            path = os.path.relpath(os.path.join(self.folder, name), self.job.target.source)
            if self.before.get(name) != stamp and path.split(os.sep)[0] != "..":
                target = os.path.join(out, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(self.work, name), target)
        return (Folder(out, replaces_source=True),) if os.path.isdir(out) else ()

    def _stamps(self) -> Iterator[tuple[str, Stamp]]:
        for top, folders, names in os.walk(self.work):
            folders[:] = sorted(name for name in folders if name not in NOT_ENTERED)
            for name in names:
                path = os.path.join(top, name)
                if os.path.isfile(path) and not (top == self.work and name in NOT_WRITTEN):
                    status = os.stat(path)
                    yield os.path.relpath(path, self.work), (status.st_size, status.st_mtime_ns)
