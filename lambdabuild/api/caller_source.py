"""Support ``build_in_source``: npm installs next to the source, and folders link to what it installed there.

Nothing here removes or replaces a file of the caller's. What npm itself does to ``node_modules`` is what was asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import InTheWay, ToolFailed
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.node import place
from lambdabuild.node.manifest import NPM_LOCKS
from lambdabuild.rule_api import Job

MODULES = "node_modules"


class NpmProject(Struct, frozen=True):
    """A package whose dependencies are installed in its own folder. ``root`` is its workspace's folder, otherwise its
    own.
    """

    source: str
    folder: str
    """The folder of package.json."""
    root: str
    options: Mapping[str, Any]
    keeps_development: bool
    """Development dependencies, such as a bundler, stay installed."""

    @property
    def modules(self) -> str:
        return os.path.join(self.source, MODULES)

    @property
    def has_lock(self) -> bool:
        return any(os.path.isfile(os.path.join(self.root, name)) for name in NPM_LOCKS)

    @property
    def action(self) -> str:
        """Return Lambda Builders' name for the install."""
        if self.has_lock:
            return "NpmCI" if self.options.get("use_npm_ci") else "NpmInstall"
        return "NpmUpdate"

    def refuse(self) -> None:
        """Raise InTheWay (LB507) when something else is where the source needs a link to its packages."""
        wanted = os.path.join(self.folder, MODULES)
        if self.folder != self.source and os.path.lexists(self.modules) and not _leads_to(self.modules, wanted):
            raise InTheWay(
                f"{self.modules} is to be a link to {wanted}, where the manifest is, but something else is there",
                where=Span(self.modules),
                help="remove it when nothing in it is needed, or build without build_in_source",
            )

    def install(self, job: Job) -> None:
        """Run npm in the folder of package.json. It removes what no manifest names any more, as npm always does."""
        command = [job.tool("npm", "install Node.js, which brings npm"), *self._command()]
        variables = place.variables(job, os.path.join(self.folder, ".npmrc"), "~/.npmrc")
        job.run(command, cwd=self.folder, extra_environment=variables)
        wanted = os.path.join(self.folder, MODULES)
        if os.path.isdir(wanted) and not os.path.lexists(self.modules):
            os.symlink(wanted, self.modules)

    def _command(self) -> list[str]:
        if self.action == "NpmCI":
            command = ["ci"]
        elif self.action == "NpmInstall":
            command = ["install", "--no-save"]
        else:
            command = ["update", "--no-save", "--no-package-lock"]
        return [*command, "--no-audit", "--install-links", *([] if self.keeps_development else ["--omit=dev"])]

    def links(self, job: Job) -> dict[str, str]:
        """Return the links of an artifact: the whole node_modules, or the packages of one workspace member."""
        if self.root == self.folder:
            return {MODULES: self.modules} if os.path.isdir(self.modules) else {}
        listed = [job.tool("npm"), "ls", "--all", "--parseable", "--omit=dev"]
        try:
            paths = job.run(listed, cwd=self.folder).stdout.splitlines()
        except ToolFailed as error:  # npm finds fault with what is installed, and lists it all the same
            paths = [line for line in error.output.splitlines() if os.path.isdir(line)]
        return _links(sorted(map(os.path.realpath, paths)), self.root, self.folder)


def root_of(job: Job, folder: str) -> str:
    """Return the folder npm installs a package into: that of its workspace, as npm reports it, or its own."""
    above = os.path.dirname(folder)
    while not os.path.isfile(os.path.join(above, "package.json")):
        if above == os.path.dirname(above):
            return folder
        above = os.path.dirname(above)
    return job.run([job.tool("npm"), "prefix"], cwd=folder).stdout.strip() or folder


def _leads_to(link: str, target: str) -> bool:
    return os.path.islink(link) and os.path.realpath(link) == os.path.realpath(target)


def _links(paths: Sequence[str], root: str, folder: str) -> dict[str, str]:
    """Return a link for each package that is inside no other; of two with one name the member's own wins."""
    own = os.path.realpath(folder) + os.sep
    packages = [path for path in paths if path not in (os.path.realpath(root), os.path.realpath(folder))]
    outermost = [path for path in packages if not any(path.startswith(other + os.sep) for other in packages)]
    by_preference = sorted(outermost, key=lambda path: path.startswith(own))
    return {f"{MODULES}/{_name(path)}": path for path in by_preference}


def _name(package: str) -> str:
    """Return the name under which Node.js finds a package.

    It is the path in node_modules; a workspace's member has it in its package.json.
    """
    _, found, name = package.rpartition(f"{os.sep}{MODULES}{os.sep}")
    if found:
        return name
    try:
        return str(regular.json(regular.read_text(os.path.join(package, "package.json")))["name"])
    except (OSError, json.JSONDecodeError, KeyError, TypeError):
        return os.path.basename(package)
