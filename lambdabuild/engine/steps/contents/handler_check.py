"""True if functions can be started from a finished artifact: it, or a layer, must hold what their ``Handler`` names."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from functools import cached_property

from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.core import handlers
from lambdabuild.core.errors import BadManifest, CannotRead, HandlerNotPackaged, LambdaBuildError, NoHandler, raise_all
from lambdabuild.core.handlers import Files, Finder
from lambdabuild.core.model import Function
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.engine.base import lists
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.rule_jobs import jobs
from lambdabuild.plan.types import Build, Sizes

JAR = ".jar"
UNCHECKED = "Correct Handler, or set check_handler = false in [functions.{}] if it is found all the same"


def deployed(run: Run, function: Function) -> str:
    """The Handler that a function is deployed with: as it is written, or shortened to where its bundle is."""
    if not function.is_bundled or "/" not in function.handler:
        return function.handler
    entries = lists.read_list(run, run.index.plan.build_of(function.name).name)
    return handlers.shortened(function.handler, {entry.path for entry in entries})


def check(run: Run, name: str) -> list[str]:
    """Look for the handlers of a build's functions; gives notes on what cannot be told from here.

    Raises NoHandler (LB409); HandlerNotPackaged (LB609), and BadManifest (LB402) for a distribution that does not run
    on a runtime.
    """
    build, users = run.index.builds[name], run.index.sizes.get(name, ())
    facts = jobs.result_of(run.project, "package", build.package).facts if build.package else {}
    checks = [_Check(run, build, run.index.functions[one.function], one, facts) for one in users]
    raise_all(error for one in checks for error in one.errors())
    notes = [note for one in checks if (note := one.note())]
    if checks and facts and facts["requires"] and not build.resolution:
        names = ", ".join(str(package) for package in facts["requires"])
        notes.append(f"{name}: {facts['name']} requires {names}, which layers must have")
    return notes


class _Check(Struct, frozen=True, dict=True):
    """One function of a build. ``facts`` are of the distribution that is its code, {} when none is."""

    run: Run
    build: Build
    function: Function
    sizes: Sizes
    facts: JsonObject

    def errors(self) -> Iterator[LambdaBuildError]:
        yield from _wrong_python(self.function, self.facts)
        if self.missing and not self.elsewhere:
            yield self.error()

    def note(self) -> str:
        name, handler = self.function.name, self.handler
        if self.is_unknown:
            return f"{name}: its Handler is known at deployment only, so what it names was not looked for"
        return f"{name}: the handler {handler} was not found: {self.missing}; {self.elsewhere}" if self.missing else ""

    @cached_property
    def handler(self) -> str:
        return deployed(self.run, self.function)

    @property
    def finder(self) -> Finder | None:
        return handlers.finder_of(self.function.runtime) if self.sizes.handler else None

    @property
    def is_unknown(self) -> bool:
        return self.finder is not None and self.finder.reads_handler and not self.function.handler

    @cached_property
    def missing(self) -> str:
        """Return what is missing; "" if nothing is, or nobody looks there."""
        if self.finder is None or self.is_unknown:
            return ""
        archive = self.run.project.zip(self.build.name)
        files = _files(self.entries, self.layers, archive)
        missing = self.finder.missing(self.handler, self.function.runtime, files)
        if not missing or self.build.name not in self.run.index.candidates:
            return missing
        shared = [one for one in shared_layers.decided(self.run).layers if self.build.name in one.builds]
        theirs = [shared_layers.entries_of(self.run, layer) for layer in shared]
        files = _files(self.entries, [*theirs, *self.layers], archive)
        return self.finder.missing(self.handler, self.function.runtime, files)

    @cached_property
    def entries(self) -> Sequence[Entry]:
        return lists.read_list(self.run, self.build.name)

    @cached_property
    def layers(self) -> list[Sequence[Entry]]:
        """The content of those of its layers that are built here."""
        layers: list[Sequence[Entry]] = []
        for name in self.sizes.layers:
            try:
                layers.append(lists.read_list(self.run, name))
            except CannotRead:
                continue  # its tools are not on this machine, so it is left out
        return layers

    @property
    def elsewhere(self) -> str:
        """Return where else it may be; "" if nowhere."""
        variables = self.sizes.handler[2:]
        if len(self.layers) < self.sizes.layer_count:
            return "a layer that is not built here must have it"
        if self.handler.startswith(handlers.OPT):
            return "a layer must have it"
        return f"it must be where {' or '.join(variables)} says" if variables else ""

    def error(self) -> LambdaBuildError:
        function = self.function
        kind = HandlerNotPackaged if self.facts else NoHandler
        place = f"the distribution {self.facts['name']}" if self.facts else "its artifact"
        text = f"the handler {self.handler} of function {function.name!r} is not in {place}"
        return kind(
            f"{text}: {self.missing}{self.beside}",
            where=function.handler_place or function.where,
            help=self.help,
        )

    @property
    def beside(self) -> str:
        """The handler's file when it is in the project's or the function's folder, but not in the artifact."""
        assert self.finder is not None  # else nothing is missing
        stem, own = self.finder.file(self.handler), {entry.path for entry in self.entries}
        folders = dict.fromkeys(filter(None, (self.build.key.package, self.function.source)))
        paths = (os.path.normpath(os.path.join(f, stem + end)) for f in folders for end in self.finder.endings)
        left_out = next((path for path in paths if os.path.isfile(self.run.project.path(path)) and path not in own), "")
        return f"; {left_out} lies beside it" if left_out else ""

    @property
    def help(self) -> str:
        assert self.finder is not None  # as above
        own = (entry.path for entry in self.entries if _is_own(entry))
        alike = handlers.alike(self.finder, self.handler, own)
        meant = next(filter(None, (self.finder.named(path, self.handler) for path in alike)), "")
        if "not executable" in self.missing:
            return f"chmod +x {self.missing.partition(' ')[0]}"
        if self.facts and self.beside:
            name = str(self.facts["name"]).replace("-", "_")
            parts = self.handler.replace("/", ".").split(".")
            return f"move it into the package, and name it by that: {'.'.join([name, *parts[-2:]])}"
        named = f"{', '.join(alike)} {'is' if len(alike) == 1 else 'are'} there; " if alike else ""
        rather = f"did you mean {meant}? " if meant else ""
        return f"{named}{rather}{UNCHECKED.format(self.function.name)}"


def _is_own(entry: Entry) -> bool:
    """Return whether a file may be the user's own, and no package's."""
    return isinstance(entry.location, FileOnDisk) and not {"node_modules", "vendor"} & set(entry.path.split("/")[:-1])


def _files(code: Sequence[Entry], layers: Sequence[Sequence[Entry]], archive: str) -> Files:
    """The files that a function finds where it runs; ``archive`` is its zip."""
    jars = {handlers.TASK + entry.path: entry for entry in code if entry.path.endswith(JAR)}
    in_layers = {entry.path: entry for layer in reversed(layers) for entry in layer}
    jars |= {handlers.OPT + entry.path: entry for entry in in_layers.values() if entry.path.endswith(JAR)}
    return Files(
        {entry.path: entry.executable for entry in code},
        {entry.path: entry.executable for entry in in_layers.values()},
        lambda names, name: any(_is_in(jars[jar], name, archive) for jar in names),
    )


def _is_in(jar: Entry, name: str, archive: str) -> bool:
    """Return whether a jar holds a file. One whose bytes are not on this machine is believed to."""
    try:
        if isinstance(jar.location, FileOnDisk) and os.path.exists(jar.location.path):
            with zipfile.ZipFile(jar.location.path) as opened:
                return name in opened.NameToInfo
        with zipfile.ZipFile(archive) as outer, zipfile.ZipFile(io.BytesIO(outer.read(jar.path))) as opened:
            return name in opened.NameToInfo
    except zipfile.BadZipFile:
        return False
    except (OSError, KeyError):
        return True


def _wrong_python(function: Function, facts: JsonObject) -> Iterator[LambdaBuildError]:
    if not facts:
        return
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(facts["requires_python"])
    if not wanted.contains(f"{function.runtime.removeprefix('python')}.99", prereleases=True):
        yield BadManifest(
            f"function {function.name!r} runs {function.runtime}, but {facts['name']} requires Python {wanted}",
            where=function.where,
            help="change Runtime, or requires-python in pyproject.toml",
        )
