"""Build once for a caller of Lambda Builders: run a rule's steps and fill the folders that the caller named."""

from __future__ import annotations

import json
import logging
import os
import posixpath
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Literal

from lambdabuild.api.caller_errors import WorkflowFailedError, as_the_peer_words_it, failed
from lambdabuild.api.caller_source import MODULES, NpmProject
from lambdabuild.api.caller_source import root_of as npm_root_of
from lambdabuild.api.workflows import Workflow, action_of
from lambdabuild.artifacts import caller_folders, merge, owned
from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.native import wrong_machine
from lambdabuild.artifacts.owned import NamedFolder
from lambdabuild.config.settings import with_flags
from lambdabuild.core import regular, tools
from lambdabuild.core.errors import InTheWay, ToolFailed, ToolMissing
from lambdabuild.core.records import Struct
from lambdabuild.core.tools import Output
from lambdabuild.files.listing import Found, Patterns, ignore_lines, scan
from lambdabuild.files.stat_cache import sha256_of
from lambdabuild.plan.rule_choice import resolver_of
from lambdabuild.plan.types import Rule
from lambdabuild.plan.workspaces import Disk, reads_source, root_of
from lambdabuild.project import cache_dir
from lambdabuild.project_loader import disk_around
from lambdabuild.rule_api import Folder, Job, Part, Result, Target
from lambdabuild.rulebook import runner

LOG = logging.getLogger(__name__)
NOTHING_KEPT = (
    "download_dependencies is False and dependencies_dir is None. Copying the source files into the artifacts "
    "directory. "
)
"""The same default as in Lambda Builders."""


class Wanted(Struct, frozen=True):
    """The arguments of one call of ``build``. Paths are absolute; ``manifest`` is "" when there is none."""

    source: str
    artifacts: str
    scratch: str
    manifest: str
    runtime: str
    architecture: Literal["x86_64", "arm64"]
    is_layer: bool
    options: Mapping[str, Any]
    search_paths: tuple[str, ...]
    downloads: bool
    dependencies: str
    """"" when dependencies are written into the artifact only."""
    combines: bool
    in_source: bool
    """The tool works in the source folder itself."""

    @property
    def name(self) -> str:
        return str(self.options.get("build_logical_id") or "Function")

    @property
    def filled(self) -> frozenset[str]:
        """Return the folders that builds fill; they are no part of the source."""
        return frozenset(map(os.path.realpath, filter(None, (self.artifacts, self.scratch, self.dependencies))))

    @property
    def project(self) -> str:
        """Return the caller's working folder if everything is below it."""
        folders = [self.source, *([os.path.dirname(self.manifest)] if self.manifest else [])]
        here = os.path.realpath(os.getcwd())
        is_here = here != os.sep and os.path.commonpath([here, *folders]) == here
        return here if is_here else os.path.commonpath(folders)


FOR_PEOPLE = frozenset({"bundle", "cargo-lambda", "dotnet", "gradle", "make", "mvn", "npm", "pnpm", "sh", "yarn"})
"""Tools whose standard output is meant for people. That of others is read by the rule that runs them."""
AS_DATA = frozenset({"--version", "--json", "--parseable", "prefix"})


def _say(tool: str, text: str) -> None:
    """Write a tool's output to standard error; that of make at any level of logging, as Lambda Builders does."""
    if text and sys.stderr is not None and (tool == "make" or LOG.isEnabledFor(logging.INFO)):
        sys.stderr.write(text)


class CallersJob(Job, frozen=True):
    """A Job that searches some folders for its tools first, without changing this process's environment.

    The tools' output is shown to the caller. With ``in_source`` they work in the source and not in a copy of it.
    """

    search_paths: tuple[str, ...] = ()
    in_source: bool = False

    def copied_source(self) -> str:
        return self.target.source if self.in_source else super().copied_source()

    def tool(self, name: str, help: str = "") -> str:
        found = shutil.which(name, path=os.pathsep.join(self.search_paths)) if self.search_paths else None
        return found or super().tool(name, help)

    def run(
        self, argv: Sequence[str], *, cwd: str | None = None, extra_environment: Mapping[str, str] | None = None,
        help: str = "", stdin: str | None = None,
    ) -> Output:  # fmt: skip
        extra = dict(extra_environment or {})
        if self.search_paths:
            path = extra.get("PATH") or os.environ.get("PATH") or os.defpath
            extra["PATH"] = os.pathsep.join((*self.search_paths, path))
        tool = os.path.basename(argv[0])
        is_for_people = tool in FOR_PEOPLE and not AS_DATA & set(argv)
        output = tools.run(
            argv, cwd=cwd or self.scratch, env=tools.environment(self.environment, extra), who=self.who, help=help,
            stdin=stdin, heard=partial(_say, tool) if is_for_people else None,
        )  # fmt: skip
        if not is_for_people:
            _say(tool, output.stderr)
        return output


class CallerBuild(Struct, frozen=True, dict=True):
    """One build. ``work`` is a folder that is removed afterwards."""

    flow: Workflow
    rule: Rule
    rules: Mapping[str, Rule]
    wanted: Wanted
    work: str

    def run(self) -> None:
        wanted, flow = self.wanted, self.flow
        if not os.path.isdir(wanted.source):
            raise failed(self.flow, "copy", f"the source folder {wanted.source} does not exist")
        with as_the_peer_words_it(flow, "copy"):
            self.refuse_to_empty()
        if self.npm_project:
            with as_the_peer_words_it(flow, self.npm_project.action):
                self.npm_project.refuse()
        resolved = self.resolve()
        earlier = {} if resolved is None else {"resolve": resolved}
        compiled = self.step(self.rule, "compile", earlier, self.rule.compile) if self.compiles() else Result()
        copied = self.step(self.rule, "copy", {**earlier, "compile": compiled}, self.rule.copy)
        with as_the_peer_words_it(flow, "copy"):
            self.lay_down(copied, compiled, resolved)
        self.test()

    def refuse_to_empty(self) -> None:
        """Raise InTheWay (LB507) now when ``dependencies_dir`` could not be emptied in the end."""
        wanted = self.wanted
        if self.fills_dependencies():
            inside = {"the source": wanted.source, "the manifest": wanted.manifest, "the artifacts": wanted.artifacts,
                      "the scratch folder": wanted.scratch, "the current folder": os.getcwd()}  # fmt: skip
            caller_folders.refuse_to_empty(self.dependencies, "dependencies_dir", inside)

    def fills_dependencies(self) -> bool:
        """Return whether ``dependencies_dir`` is emptied and filled, instead of read or left alone."""
        wanted, flow = self.wanted, self.flow
        is_resolved = bool(wanted.manifest) and self.resolver().resolve is not None and wanted.downloads
        is_resolved = is_resolved and (self.npm_project is None or self.rule.ships_dependencies)
        return bool(wanted.dependencies) and flow.dependencies != "none" and (flow.dependencies == "lib" or is_resolved)

    @cached_property
    def dependencies(self) -> NamedFolder:
        return NamedFolder(self.wanted.dependencies, cache_dir(os.environ))

    def resolve(self) -> Result | None:
        """Return the dependencies: fetched now, or kept in ``dependencies_dir`` by an earlier build; None when there
        are none.
        """
        wanted, resolver = self.wanted, self.resolver()
        if not wanted.manifest or resolver.resolve is None:
            return None
        if self.npm_project and (wanted.downloads or not (wanted.dependencies and self.rule.ships_dependencies)):
            return self.resolve_in_source(self.npm_project)
        if wanted.downloads or not self.flow.reuses:
            return self.step(resolver, "resolve", {}, resolver.resolve)
        if wanted.dependencies and os.path.isdir(wanted.dependencies):
            return Result((Folder(wanted.dependencies),))
        if self.flow.without_packages and not wanted.dependencies:
            raise WorkflowFailedError(self.flow.without_packages)
        LOG.info(NOTHING_KEPT)
        return None

    @cached_property
    def npm_project(self) -> NpmProject | None:
        """Return the package that npm installs in the source folder, None when that was not asked for."""
        wanted = self.wanted
        if not (wanted.in_source and wanted.manifest and self.flow.installs_in_source):
            return None
        folder = os.path.dirname(wanted.manifest)
        bundles = not self.rule.ships_dependencies
        with as_the_peer_words_it(self.flow, "resolve"):
            root = npm_root_of(self.job("resolve", self.rule, {}, ()), folder)
        return NpmProject(wanted.source, folder, root, with_flags(wanted.options), bundles)

    def resolve_in_source(self, project: NpmProject) -> Result:
        """Install next to the source. A bundle is made from what is there; every other artifact links to it
        (``links``).
        """
        if self.wanted.downloads:
            self.tell(project.action)
            with as_the_peer_words_it(self.flow, project.action):
                project.install(self.job("resolve", self.rule, {}, ()))
        holders = [folder for folder in (project.folder, project.root) if os.path.isdir(os.path.join(folder, MODULES))]
        return Result(tuple(map(Folder, holders[:1])) if not self.rule.ships_dependencies else ())

    def links(self) -> dict[str, str]:
        """Return links to packages that stay in the source folder, by their path in the artifact."""
        project, wanted = self.npm_project, self.wanted
        if project is None or not self.rule.ships_dependencies:
            return {}
        if wanted.downloads or not wanted.dependencies:
            with as_the_peer_words_it(self.flow, project.action):
                return project.links(self.job("copy", self.rule, {}, ()))
        return dict(caller_folders.links(wanted.dependencies))

    def resolver(self) -> Rule:
        """Return the rule that resolves: the first whose lock file exists, otherwise the last; else the rule itself."""
        return resolver_of(self.rule, ".", self.rules, self.around) or self.rule

    @cached_property
    def around(self) -> Disk:
        """Return the files around the manifest, up to the git checkout's folder."""
        return disk_around(os.path.dirname(self.wanted.manifest) or self.wanted.source)

    def workspace(self) -> str:
        root = root_of(self.resolver(), ".", self.around) if self.wanted.manifest else ""
        return os.path.normpath(os.path.join(os.path.dirname(self.wanted.manifest), root)) if root else ""

    def compiles(self) -> bool:
        claims = self.rule.compile
        if claims is None:
            return False
        return not claims.only_with_option or bool(self.wanted.options.get(claims.only_with_option))

    def step(self, rule: Rule, name: Any, earlier: Mapping[str, Result], claims: object) -> Result:
        if claims is None:
            return Result()
        self.tell(name)
        with as_the_peer_words_it(self.flow, name):
            files = self.beside_manifest(rule) if name == "resolve" else self.source_files
            result = runner.run(rule, self.job(name, rule, earlier, files))
        for note in result.notes:
            LOG.info("%s", note)
        return result

    def tell(self, step: str) -> None:
        prefix = f"{self.wanted.name}:" if "build_logical_id" in self.wanted.options else ""
        LOG.info("%s Running %s:%s", prefix, self.flow.name, action_of(self.flow, step))

    def job(self, step: Any, rule: Rule, earlier: Mapping[str, Result], files: Iterable[Found]) -> CallersJob:
        out, scratch = (os.path.join(self.work, f"{step}-{what}") for what in ("out", "scratch"))
        os.makedirs(out, exist_ok=True)
        os.makedirs(scratch, exist_ok=True)
        return CallersJob(
            step=step, target=self.target(), out=out, scratch=scratch, store=cache_dir(os.environ),
            cache=os.path.join(self.tools_cache, rule.name), earlier=earlier,
            # No fingerprint is made here, so a tool may see all that the caller's environment says.
            environment=tuple(os.environ), search_paths=self.wanted.search_paths,
            files=tuple(found.path for found in files), in_source=self.wanted.in_source,
        )  # fmt: skip

    def test(self) -> None:
        """Run ``npm test`` where the packages are, when the caller's environment asks for it as SAM CLI has it."""
        wanted = self.wanted
        variable = self.flow.tested_with
        is_asked = bool(variable) and os.environ.get(variable) == "true"
        if not (is_asked and wanted.manifest and wanted.downloads):
            return
        self.tell("NpmTest")
        with as_the_peer_words_it(self.flow, "NpmTest"):
            job = self.job("copy", self.rule, {}, ())
            folder = self.npm_project.folder if self.npm_project else wanted.artifacts
            job.run([job.tool("npm"), "test", "--if-present"], cwd=folder)

    @cached_property
    def tools_cache(self) -> str:
        """Return the folder for what tools keep for the next build; a throw-away one if the caller has a folder of that
        name.
        """
        folder = os.path.join(self.wanted.scratch, "lambdabuild-cache")
        try:
            owned.take(folder)
        except (InTheWay, OSError):
            return os.path.join(self.work, "cache")
        return folder

    def beside_manifest(self, rule: Rule) -> tuple[Found, ...]:
        """Return the files that the manifest's scripts may read; none when it has no scripts."""
        folder, name = os.path.split(self.wanted.manifest)
        options = _options(self.rule, rule, self.flow, self.wanted)
        if not name or not reads_source(rule, name, options, self.around):
            return ()
        return scan(folder, Patterns((".git/", "node_modules/")), boundary=os.sep, skip=self.wanted.filled).files

    def target(self) -> Target:
        wanted = self.wanted
        is_layer = wanted.is_layer and self.flow.knows_layers
        return Target(
            wanted.name, "layer" if is_layer else "function", wanted.runtime, wanted.architecture, wanted.source,
            wanted.manifest, wanted.project, _options(self.rule, self.resolver(), self.flow, wanted), self.workspace(),
        )  # fmt: skip

    # what is in the artifact

    @cached_property
    def source_files(self) -> tuple[Found, ...]:
        """Return the source files without those excluded by Lambda Builders, the rule or .lambdabuildignore."""
        wanted, flow, rule = self.wanted, self.flow, self.rule
        lines = [*flow.leave_out, *ignore_lines(wanted.source)]
        if self.brings_dependencies() or not rule.ships_source:
            lines += [line for line in rule.leave_out if not self.ships(line.strip("/"))]
        packed = self.packed_by_npm()
        if packed is None:
            lines += [line for name in rule.ignore_files for line in ignore_lines(wanted.source, name)]
        listing = scan(wanted.source, Patterns(lines), boundary=os.sep, skip=wanted.filled)
        return tuple(found for found in listing.files if packed is None or found.path in packed)

    def ships(self, name: str) -> bool:
        """Return whether a file that the rule leaves out is packed all the same."""
        wanted, is_reused = self.wanted, self.flow.reuses and not self.wanted.downloads
        if name in self.flow.rewritten:
            return is_reused and not os.path.lexists(os.path.join(wanted.dependencies, name))
        return name in self.flow.ships

    def brings_dependencies(self) -> bool:
        """Return whether dependencies are put where the source may have its own."""
        wanted = self.wanted
        kept = bool(wanted.dependencies) and os.path.isdir(wanted.dependencies)
        return bool(wanted.manifest) and (wanted.downloads or wanted.in_source or not self.flow.reuses or kept)

    def packed_by_npm(self) -> frozenset[str] | None:
        """Return what ``npm pack`` would pack (by ``files``, .npmignore, .gitignore), as Lambda Builders does.

        None when the manifest is in another folder, or when npm cannot pack because package.json has no name and
        version. https://docs.npmjs.com/cli/v10/commands/npm-pack
        """
        wanted = self.wanted
        if not self.flow.packed_by_npm or os.path.dirname(wanted.manifest) != wanted.source:
            return None
        job = CallersJob("copy", Target("", "function", "", wanted.architecture, wanted.source, "", ""), "", "", "",
                           environment=tuple(os.environ), search_paths=wanted.search_paths)  # fmt: skip
        try:
            command = [job.tool("npm"), "pack", "--dry-run", "--json", "--ignore-scripts", "--loglevel=error"]
            said = json.loads(job.run(command, cwd=wanted.source).stdout)
            return frozenset(file["path"] for file in said[0]["files"]) | set(self.flow.ships)
        except (ToolFailed, ToolMissing, ValueError, LookupError, TypeError):
            return None

    def lay_down(self, copied: Result, compiled: Result, resolved: Result | None) -> None:
        wanted, flow = self.wanted, self.flow
        own = [self.entries(part) for part in (*copied.parts, *compiled.parts)]
        parts = resolved.parts if resolved else ()
        own = [self.entries(part) for part in parts if isinstance(part, Folder) and part.replaces_source] + own
        kept = [self.entries(p) for p in parts if not (isinstance(p, Folder) and p.replaces_source)]
        dependencies, shipped = kept, kept if self.rule.ships_dependencies else []
        if flow.dependencies == "lib":
            everything = [*own, *kept]
            own = [[entry for entry in entries if not entry.path.startswith("lib/")] for entries in everything]
            dependencies = [[entry for entry in entries if entry.path.startswith("lib/")] for entries in everything]
            shipped = dependencies
        if wanted.dependencies and flow.dependencies != "none" and not (wanted.combines or flow.always_combines):
            shipped = []
        links = self.links()
        here = {} if wanted.dependencies and not wanted.combines else links
        entries = self.merged([*own, *([] if links else shipped)])
        artifacts = NamedFolder(wanted.artifacts, cache_dir(os.environ))
        caller_folders.refuse_to_overwrite(artifacts, entries, here)
        if self.fills_dependencies():
            self.refuse_to_empty()  # others may have been there meanwhile
            self.dependencies.empty()
            caller_folders.write(self.dependencies, self.merged(dependencies), links, only=True)
        caller_folders.write(artifacts, entries, here)

    def entries(self, part: Part) -> list[Entry]:
        if not isinstance(part, Folder):
            found = archive_entries(part.path, index=part.path + ".index")
            return list(merge.moved(found, part.moves, part.into, part.leave_out, origin=part.origin))
        if os.path.realpath(part.path) == self.wanted.source:
            files = self.source_files
        else:
            files = scan(part.path, Patterns(part.leave_out), boundary=os.sep).files
        return [_entry(found, part.into) for found in files]

    def merged(self, lists: Iterable[Iterable[Entry]]) -> tuple[Entry, ...]:
        """Return one list in which the source wins over dependencies, as in Lambda Builders, which copies it last."""
        merged, clashes = merge.merge(lists)
        for clash in clashes:
            origins = [entry.origin or entry.path for entry in clash.entries]
            if clash.kind == "folder":
                raise failed(self.flow, "copy", f"{clash.path} is a file in {origins[0]} and a folder in {origins[1]}")
            LOG.info("%s comes from %s; that of %s is used", clash.path, " and ".join(origins), origins[0])
        for entry in wrong_machine(merged, self.wanted.architecture):
            LOG.warning("%s (%s) is not for %s", entry.path, entry.origin, self.wanted.architecture)
        return merged


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _options(rule: Rule, resolver: Rule, flow: Workflow, wanted: Wanted) -> dict[str, Any]:
    """Return the caller's options under the rule's names for them, whatever spelling the caller used."""
    given = {**rule.defaults, **with_flags(wanted.options)}
    if flow.leaves_packages_out and (not wanted.combines or "./node_modules/*" in (given.get("external") or ())):
        given["external"] = _externals(wanted.manifest, given.get("external") or [])
    claims = [step for one in (rule, resolver) for step in (one.resolve, one.compile, one.copy) if step]
    names = {_plain(name): name for step in claims for name in (*step.options, step.only_with_option) if name}
    return {names[_plain(name)]: value for name, value in sorted(given.items()) if _plain(name) in names}


def _externals(manifest: str, given: Iterable[str]) -> list[str]:
    """Return the packages that the bundle imports instead of including them: all that package.json names."""
    named: Mapping[str, Any] = {}
    if manifest:
        try:
            with open(manifest, encoding="utf-8-sig", opener=regular.opener) as stream:
                named = regular.json(stream.read()).get("dependencies") or {}
        except (ValueError, AttributeError):
            pass  # the rule tells
    return sorted({*given, *named} - {"./node_modules/*"})


def _entry(found: Found, into: str) -> Entry:
    return Entry(
        posixpath.join(into, found.path), found.executable, found.stat.st_size, sha256_of(found.real),
        FileOnDisk(found.real), origin=found.real,
    )  # fmt: skip
