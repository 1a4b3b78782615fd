"""Lambda Builders' interface in process: one folder of source in, one folder with the artifact out, by our rules.

``LambdaBuilder("python", "pip", None).build(source_dir, artifacts_dir, scratch_dir, manifest_path, runtime=...)`` does
what the peer's does, with its parameters and its errors' names and texts, for callers written for it. What the peer
does: https://github.com/aws/aws-lambda-builders/blob/develop/DESIGN.md. Nothing is remembered between two builds,
so nothing is hashed: the caller decides when to build. docs/rpc.md tells the differences.
"""

from __future__ import annotations

import json
import logging
import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lambdabuild import caller_folders, regular
from lambdabuild.artifacts import merge, owned
from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, OnDisk
from lambdabuild.artifacts.native import wrong_machine
from lambdabuild.artifacts.owned import NamedFolder
from lambdabuild.errors import BadRule, InTheWay, LambdaBuildError, ToolFailed, ToolMissing
from lambdabuild.files.listing import Found, Patterns, ignore_lines, scan
from lambdabuild.files.stat_cache import sha256_of
from lambdabuild.plan.claims import resolver_of
from lambdabuild.plan.types import Rule
from lambdabuild.plan.workspaces import Disk, reads_source, root_of
from lambdabuild.project import cache_dir, disk_around
from lambdabuild.rule_api import Folder, Job, Part, Result, Target
from lambdabuild.rulebook import steps
from lambdabuild.rulebook.search import find_rules, search_path
from lambdabuild.tools import Output
from lambdabuild.workflows import ACTIONS, MAKE, OUR_NAMES, WORKFLOWS, Workflow, action_of, is_supported, unlisted

LOG = logging.getLogger(__name__)


class LambdaBuilderError(LambdaBuildError):
    """The root of what ``LambdaBuilder`` raises; its text is what callers of the peer look for."""

    def __str__(self) -> str:
        return self.message


class WorkflowNotFoundError(LambdaBuilderError):
    """No rule has the capability that was asked for."""


class WorkflowFailedError(LambdaBuilderError):
    """A build failed for a reason that is told."""


class UnsupportedManifestError(WorkflowFailedError):
    """The manifest is a file that the workflow does not read."""


class WorkflowUnknownError(LambdaBuilderError):
    """A build failed for what nobody foresaw."""


class SharedProjectNotSupportedError(LambdaBuilderError):
    """No rule has work that is done once for several functions; each is built on its own."""


UV_MANIFESTS = ("requirements.txt", "requirements-dev.txt", "requirements-test.txt", "requirements-prod.txt",
                "pyproject.toml")  # fmt: skip
"""Where the peer looks when the manifest named is not there, first one first."""


@dataclass(frozen=True)
class Wanted:
    """What one call of ``build`` asks for. Paths are absolute; ``manifest`` is "" when there is none."""

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
    """"" when they are to lie in the artifact only."""
    combines: bool

    @property
    def name(self) -> str:
        return str(self.options.get("build_logical_id") or "Function")

    @property
    def project(self) -> str:
        """Where the caller works, if all is below it."""
        folders = [self.source, *([os.path.dirname(self.manifest)] if self.manifest else [])]
        here = os.path.realpath(os.getcwd())
        is_here = here != os.sep and os.path.commonpath([here, *folders]) == here
        return here if is_here else os.path.commonpath(folders)


@dataclass(frozen=True)
class SearchingJob(Job):
    """A Job whose tools are looked for in some folders first, without a change of this process's environment."""

    search_paths: tuple[str, ...] = ()

    def tool(self, name: str, mend: str = "") -> str:
        found = shutil.which(name, path=os.pathsep.join(self.search_paths)) if self.search_paths else None
        return found or super().tool(name, mend)

    def run(
        self, argv: Sequence[str], *, cwd: str | None = None, extra_environment: Mapping[str, str] | None = None,
        mend: str = "", stdin: str | None = None,
    ) -> Output:  # fmt: skip
        extra = dict(extra_environment or {})
        if self.search_paths:
            path = extra.get("PATH") or os.environ.get("PATH") or os.defpath
            extra["PATH"] = os.pathsep.join((*self.search_paths, path))
        return super().run(argv, cwd=cwd, extra_environment=extra, mend=mend, stdin=stdin)


class LambdaBuilder:
    """Builds functions of one (language, dependency_manager, application_framework).

    Raises WorkflowNotFoundError when no rule has it. ``supported_workflows`` are names of modules of the peer's: here
    they choose among its workflows, by their last part (``aws_lambda_builders.workflows.python_pip``).
    """

    def __init__(
        self,
        language: str,
        dependency_manager: str | None,
        application_framework: str | None,
        supported_workflows: Sequence[str] | None = None,
    ) -> None:
        given = (language, dependency_manager, application_framework)
        capability = (
            (language or "").lower(),
            (dependency_manager or "").lower(),
            (application_framework or "").lower(),
        )
        rules = find_rules(search_path(os.getcwd(), os.environ))
        self.rules = {rule.name: rule for rule in rules}
        wanted = OUR_NAMES.get(capability, capability)
        found = [rule for rule in rules if _capability(rule) == wanted and _is_loaded(rule, supported_workflows)]
        if not found:
            raise WorkflowNotFoundError(
                "Unable to find a workflow matching given capability: " + ", ".join(str(part) for part in given),
                mend="known: " + "; ".join(sorted(", ".join(filter(None, _capability(rule))) for rule in rules)),
            )
        self.rule = found[0]
        self.workflow = WORKFLOWS.get(capability) or unlisted(self.rule)

    def build(
        self,
        source_dir: str,
        artifacts_dir: str,
        scratch_dir: str,
        manifest_path: str | None,
        runtime: str | None = None,
        unpatched_runtime: str | None = None,
        optimizations: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        executable_search_paths: Sequence[str] | None = None,
        mode: str | None = None,
        download_dependencies: bool = True,
        dependencies_dir: str | None = None,
        combine_dependencies: bool = True,
        architecture: str = "x86_64",
        is_building_layer: bool = False,
        experimental_flags: Sequence[str] | None = None,
        build_in_source: bool | None = None,
    ) -> None:
        """Put the artifact into ``artifacts_dir``, which is made but never emptied; the source is never written to.

        Raises WorkflowFailedError or WorkflowUnknownError, with the peer's text ``<Workflow>:<Action> - <reason>``.
        """
        caller_folders.make(scratch_dir)
        self._check(runtime, architecture, options, build_in_source)
        source = os.path.realpath(source_dir)
        wanted = Wanted(
            source=source,
            artifacts=os.path.abspath(artifacts_dir),
            scratch=os.path.abspath(scratch_dir),
            manifest=self._manifest(source, manifest_path),
            runtime=unpatched_runtime or runtime or "",
            architecture="arm64" if architecture == "arm64" else "x86_64",
            is_layer=is_building_layer,
            options={**(options or {}), **({"mode": mode} if mode else {})},
            search_paths=tuple(os.path.abspath(path) for path in executable_search_paths or ()),
            downloads=download_dependencies,
            dependencies=os.path.abspath(dependencies_dir) if dependencies_dir else "",
            combines=combine_dependencies,
        )
        with tempfile.TemporaryDirectory(prefix="lambdabuild-", dir=wanted.scratch, ignore_cleanup_errors=True) as work:
            _Run(self.workflow, self._rule_for(wanted.manifest), self.rules, wanted, os.path.realpath(work)).run()

    def prepare_shared_project(self, project_root: str, experimental_flags: Sequence[str] | None = None) -> None:
        """The peer installs an npm workspace once for all its functions; callers fall back to one build for each."""
        raise SharedProjectNotSupportedError(
            f"Workflow for capability '{_capability(self.rule)}' does not support preparing a project root shared by "
            "several functions"
        )

    def _check(
        self, runtime: str | None, architecture: str, options: Mapping[str, Any] | None, build_in_source: bool | None
    ) -> None:
        flow = self.workflow
        if flow is not MAKE and not is_supported(runtime):
            raise WorkflowFailedError(f"{flow.name}:Validation - Runtime {runtime} is not supported")
        if flow is MAKE and not (options or {}).get("build_logical_id"):
            raise WorkflowFailedError(f"{flow.name}:None - Build target None is not found!")
        if architecture not in ("x86_64", "arm64"):
            raise WorkflowFailedError(
                f"{flow.name}:Validation - Architecture {architecture} is not supported for runtime {runtime}"
            )
        if build_in_source is not None and build_in_source not in flow.in_source:
            LOG.warning(
                'Workflow %s does not support value "%s" for building in source. Using default value "%s".',
                flow.name, build_in_source, flow.in_source[0],
            )  # fmt: skip
        elif build_in_source:
            LOG.warning("%s: the source is never written to, so the build is made beside it", flow.name)

    def _manifest(self, source: str, given: str | None) -> str:
        """The manifest's real path; "" when it is not there and the workflow can do without."""
        flow = self.workflow
        found = given if given and os.path.isfile(given) else ""
        if flow.name == "PythonUvBuilder":
            found = found or next(filter(os.path.isfile, (os.path.join(source, name) for name in UV_MANIFESTS)), "")
            name = os.path.basename(found)
            if found and not (name.endswith(".txt") or name == "pyproject.toml"):
                raise UnsupportedManifestError(
                    f"{flow.name}:{ACTIONS['resolve']} - Unsupported manifest file: {name}. Name a requirements.txt or "
                    "a pyproject.toml"
                )
        if not found and flow.without_manifest == "fail":
            step = "resolve" if self.rule.resolve else "compile"
            raise WorkflowFailedError(f"{flow.name}:{action_of(flow, step)} - there is no manifest {given}")
        if not found:
            names = os.path.basename(given or "") or " or ".join(self.rule.manifests)
            LOG.warning("%s file not found. Continuing the build without dependencies.", names)
        return os.path.join(os.path.realpath(os.path.dirname(found)), os.path.basename(found)) if found else ""

    def _rule_for(self, manifest: str) -> Rule:
        """uv takes requirements too, which another of our rules reads."""
        if self.workflow.name == "PythonUvBuilder" and manifest.endswith(".txt"):
            return self.rules.get("python_pip", self.rule)
        return self.rule


def _capability(rule: Rule) -> tuple[str, str, str]:
    return rule.language, rule.dependency_manager, rule.application_framework


def _is_loaded(rule: Rule, modules: Sequence[str] | None) -> bool:
    """The peer's modules are called as our rules are, but for .NET's."""
    theirs = "dotnet_clipackage" if rule.name == "dotnet_cli" else rule.name
    return modules is None or bool({module.rpartition(".")[2] for module in modules} & {"workflows", theirs})


@dataclass(frozen=True)
class _Run:
    """One build. ``work`` is thrown away after it."""

    flow: Workflow
    rule: Rule
    rules: Mapping[str, Rule]
    wanted: Wanted
    work: str

    def run(self) -> None:
        wanted, flow = self.wanted, self.flow
        if not os.path.isdir(wanted.source):
            raise self.failed("copy", f"the source folder {wanted.source} does not exist")
        with _told(flow, "copy"):
            self.refuse_to_empty()
        resolved = self.resolve()
        earlier = {} if resolved is None else {"resolve": resolved}
        compiled = self.step(self.rule, "compile", earlier, self.rule.compile) if self.compiles() else Result()
        copied = self.step(self.rule, "copy", {**earlier, "compile": compiled}, self.rule.copy)
        with _told(flow, "copy"):
            self.lay_down(copied, compiled, resolved)

    def refuse_to_empty(self) -> None:
        """Raise InTheWay (LB507) now when ``dependencies_dir`` could not be emptied in the end."""
        wanted = self.wanted
        if self.fills_dependencies():
            inside = {"the source": wanted.source, "the manifest": wanted.manifest, "the artifacts": wanted.artifacts,
                      "the scratch folder": wanted.scratch, "the current folder": os.getcwd()}  # fmt: skip
            caller_folders.refuse_to_empty(self.dependencies, "dependencies_dir", inside)

    def fills_dependencies(self) -> bool:
        """Whether ``dependencies_dir`` is emptied and filled, rather than read or left alone."""
        wanted, flow = self.wanted, self.flow
        is_resolved = bool(wanted.manifest) and self.resolver().resolve is not None and wanted.downloads
        return bool(wanted.dependencies) and flow.dependencies != "none" and (flow.dependencies == "lib" or is_resolved)

    @cached_property
    def dependencies(self) -> NamedFolder:
        return NamedFolder(self.wanted.dependencies, cache_dir(os.environ))

    def resolve(self) -> Result | None:
        """What was fetched, or fetched before and kept in ``dependencies_dir``; None when there is neither."""
        wanted, resolver = self.wanted, self.resolver()
        if not wanted.manifest or resolver.resolve is None:
            return None
        if wanted.downloads or not self.flow.reuses:
            return self.step(resolver, "resolve", {}, resolver.resolve)
        if wanted.dependencies and os.path.isdir(wanted.dependencies):
            return Result((Folder(wanted.dependencies),))
        if not self.rule.ships_dependencies and not wanted.dependencies:
            raise self.failed("compile", "download_dependencies is False, and no dependencies_dir is given")
        LOG.info("There are no dependencies: download_dependencies is False. Copying the source files alone.")
        return None

    def resolver(self) -> Rule:
        """The rule itself, or the one that resolves for it: the first whose lock file is there, else the last."""
        return resolver_of(self.rule, ".", self.rules, self.around) or self.rule

    @cached_property
    def around(self) -> Disk:
        """What lies around the manifest, up to the git checkout's folder."""
        return disk_around(os.path.dirname(self.wanted.manifest) or self.wanted.source)

    def workspace(self) -> str:
        root = root_of(self.resolver(), ".", self.around) if self.wanted.manifest else ""
        return os.path.normpath(os.path.join(os.path.dirname(self.wanted.manifest), root)) if root else ""

    def compiles(self) -> bool:
        claims = self.rule.compile
        return claims is not None and (not claims.when or bool(self.wanted.options.get(claims.when)))

    def step(self, rule: Rule, name: Any, earlier: Mapping[str, Result], claims: object) -> Result:
        if claims is None:
            return Result()
        prefix = f"{self.wanted.name}:" if "build_logical_id" in self.wanted.options else ""
        LOG.info("%s Running %s:%s", prefix, self.flow.name, action_of(self.flow, name))
        out, scratch = (os.path.join(self.work, f"{name}-{what}") for what in ("out", "scratch"))
        os.makedirs(out)
        os.makedirs(scratch)
        with _told(self.flow, name):
            files = self.beside_manifest(rule) if name == "resolve" else self.source_files
            job = SearchingJob(
                step=name, target=self.target(), out=out, scratch=scratch, store=cache_dir(os.environ),
                cache=os.path.join(self.tools_cache, rule.name), earlier=earlier,
                # No fingerprint is made here, so a tool may see all that the caller's environment says.
                environment=tuple(os.environ), search_paths=self.wanted.search_paths,
                files=tuple(found.path for found in files),
            )  # fmt: skip
            result = steps.run(rule, job)
        for note in result.notes:
            LOG.info("%s", note)
        return result

    @cached_property
    def tools_cache(self) -> str:
        """What tools save for the next time; of no use when a folder of the caller's has that name."""
        folder = os.path.join(self.wanted.scratch, "lambdabuild-cache")
        try:
            owned.take(folder)
        except (InTheWay, OSError):
            return os.path.join(self.work, "cache")
        return folder

    def beside_manifest(self, rule: Rule) -> tuple[Found, ...]:
        """What the manifest's own scripts may read; nothing when it has none."""
        folder, name = os.path.split(self.wanted.manifest)
        options = _options(self.rule, rule, self.flow, self.wanted)
        if not name or not reads_source(rule, name, options, self.around):
            return ()
        ours = (self.wanted.artifacts, self.wanted.scratch, self.wanted.dependencies)
        skip = frozenset(map(os.path.realpath, filter(None, ours)))
        return scan(folder, Patterns((".git/", "node_modules/")), boundary=os.sep, skip=skip).files

    def target(self) -> Target:
        wanted = self.wanted
        is_layer = wanted.is_layer and self.flow.knows_layers
        return Target(
            wanted.name, "layer" if is_layer else "function", wanted.runtime, wanted.architecture, wanted.source,
            wanted.manifest, wanted.project, _options(self.rule, self.resolver(), self.flow, wanted), self.workspace(),
        )  # fmt: skip

    def failed(self, step: str, reason: str) -> WorkflowFailedError:
        return WorkflowFailedError(f"{self.flow.name}:{action_of(self.flow, step)} - {reason}")

    # what is in the artifact

    @cached_property
    def source_files(self) -> tuple[Found, ...]:
        """The source without what the peer leaves out, what the rule does, and .lambdabuildignore."""
        wanted, flow, rule = self.wanted, self.flow, self.rule
        lines = [*flow.leave_out, *ignore_lines(wanted.source)]
        if self.brings_dependencies() or not rule.ships_source:
            lines += [line for line in rule.leave_out if not self.ships(line.strip("/"))]
        packed = self.packed_by_npm()
        if packed is None:
            lines += [line for name in rule.ignore_files for line in ignore_lines(wanted.source, name)]
        ours = frozenset(map(os.path.realpath, filter(None, (wanted.artifacts, wanted.scratch, wanted.dependencies))))
        listing = scan(wanted.source, Patterns(lines), boundary=os.sep, skip=ours)
        return tuple(found for found in listing.files if packed is None or found.path in packed)

    def ships(self, name: str) -> bool:
        """Whether a file that the rule leaves out ships all the same."""
        wanted, is_reused = self.wanted, self.flow.reuses and not self.wanted.downloads
        if name in self.flow.rewritten:
            return is_reused and not os.path.lexists(os.path.join(wanted.dependencies, name))
        return name in self.flow.ships

    def brings_dependencies(self) -> bool:
        """Whether something of the rule's own takes the place of what lies in the source."""
        wanted = self.wanted
        kept = bool(wanted.dependencies) and os.path.isdir(wanted.dependencies)
        return bool(wanted.manifest) and (wanted.downloads or not self.flow.reuses or kept)

    def packed_by_npm(self) -> frozenset[str] | None:
        """What ``npm pack`` would take (its ``files``, .npmignore, .gitignore), which is what the peer ships.

        None when the manifest lies elsewhere, or npm cannot tell, for want of a name and version in package.json.
        https://docs.npmjs.com/cli/v10/commands/npm-pack
        """
        wanted = self.wanted
        if self.flow.name != "NodejsNpmBuilder" or os.path.dirname(wanted.manifest) != wanted.source:
            return None
        job = SearchingJob("copy", Target("", "function", "", wanted.architecture, wanted.source, "", ""), "", "", "",
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
        entries = self.merged([*own, *self.package_json(), *shipped])
        artifacts = NamedFolder(wanted.artifacts, cache_dir(os.environ))
        caller_folders.refuse_to_overwrite(artifacts, entries)
        if self.fills_dependencies():
            self.refuse_to_empty()  # others may have been there meanwhile
            self.dependencies.empty()
            caller_folders.write(self.dependencies, self.merged(dependencies), only=True)
        caller_folders.write(artifacts, entries)

    def entries(self, part: Part) -> list[Entry]:
        if not isinstance(part, Folder):
            found = archive_entries(part.path, index=part.path + ".index")
            return list(merge.moved(found, part.moves, part.into, part.leave_out, origin=part.origin))
        if os.path.realpath(part.path) == self.wanted.source:
            files = self.source_files
        else:
            files = scan(part.path, Patterns(part.leave_out), boundary=os.sep).files
        return [_entry(found, part.into) for found in files]

    def package_json(self) -> list[list[Entry]]:
        """npm's manifest ships when it lies outside the source, too."""
        manifest = self.wanted.manifest
        if self.flow.name != "NodejsNpmBuilder" or not manifest or os.path.dirname(manifest) == self.wanted.source:
            return []
        return [[_entry(Found(os.path.basename(manifest), manifest, os.stat(manifest)), "")]]

    def merged(self, lists: Iterable[Iterable[Entry]]) -> tuple[Entry, ...]:
        """One list; the source goes before dependencies, as with the peer, which copies it last."""
        merged, clashes = merge.merge(lists)
        for clash in clashes:
            origins = [entry.origin or entry.path for entry in clash.entries]
            if clash.kind == "folder":
                raise self.failed("copy", f"{clash.path} is a file in {origins[0]} and a folder in {origins[1]}")
            LOG.info("%s comes from %s; that of %s is used", clash.path, " and ".join(origins), origins[0])
        for entry in wrong_machine(merged, self.wanted.architecture):
            LOG.warning("%s (%s) is not for %s", entry.path, entry.origin, self.wanted.architecture)
        return merged


@contextmanager
def _told(flow: Workflow, step: str) -> Iterator[None]:
    """Tells what goes wrong in a step as the peer does."""
    try:
        yield
    except LambdaBuilderError:
        raise
    except Exception as error:
        known = isinstance(error, LambdaBuildError) and not isinstance(error, BadRule)
        told = WorkflowFailedError if known else WorkflowUnknownError
        raise told(f"{flow.name}:{action_of(flow, step)} - {error}") from error


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _options(rule: Rule, resolver: Rule, flow: Workflow, wanted: Wanted) -> dict[str, Any]:
    """The caller's options under the names that the rule has for them, in whatever spelling they are given."""
    given = {**rule.defaults, **wanted.options}
    if flow.name == "NodejsNpmEsbuildBuilder" and (
        not wanted.combines or "./node_modules/*" in (given.get("external") or ())
    ):
        given["external"] = _externals(wanted.manifest, given.get("external") or [])
    claims = [step for one in (rule, resolver) for step in (one.resolve, one.compile, one.copy) if step]
    names = {_plain(name): name for step in claims for name in (*step.options, step.when) if name}
    return {names[_plain(name)]: value for name, value in sorted(given.items()) if _plain(name) in names}


def _externals(manifest: str, given: Iterable[str]) -> list[str]:
    """What the bundle imports when the dependencies are to lie elsewhere: each that package.json names."""
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
        OnDisk(found.real), origin=found.real,
    )  # fmt: skip
