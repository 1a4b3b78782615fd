"""Settle what is in an artifact: parts become entries, entries are merged and filtered, and checked against limits."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lambdabuild.artifacts import limits, merge, shared_namespaces
from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, FileOnDisk, content_digest
from lambdabuild.artifacts.native import wrong_machine
from lambdabuild.artifacts.zips import write_zip
from lambdabuild.core.atomic import write_text
from lambdabuild.core.errors import BadSource, Collision, WrongMachine, raise_all
from lambdabuild.core.model import Globs
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Span
from lambdabuild.engine.base import lists, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import source_files
from lambdabuild.engine.steps.contents import credentials, strip
from lambdabuild.files.globs import decides
from lambdabuild.files.listing import Listing, Patterns, scan
from lambdabuild.plan.types import Build, Rule
from lambdabuild.rule_api import Archive, Folder, Part, Result

ORDER = ("copy", "compile", "package")
"""Which step wins a path that two bring: own files, then what is added to them, then packages. A note says so."""


HELPER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "programs", "unzip_requirements.py")
"""The module that a function with zipped dependencies imports first."""

ZIPPED = ".requirements.zip"
"""The path of zipped dependencies in an artifact, as ``programs/unzip_requirements.py`` knows it."""


class Settled(Struct, frozen=True):
    """The content of one artifact, decided."""

    entries: tuple[Entry, ...]
    digest: str
    unzipped: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    files: Mapping[str, Mapping[str, str]]
    """For each folder of the user's that is in it ``{path: digest}``."""
    made: tuple[str, ...] = ()
    """Folders of the project's state that were written to settle it."""


class InLayer(Struct, frozen=True):
    """A package that a layer has: the positions of its parts in the resolution, and what it takes up (``together``)."""

    positions: tuple[int, ...]
    territory: frozenset[str]


def settle(
    run: Run,
    build: Build,
    rule: Rule,
    results: Mapping[str, Result],
    resolved: Sequence[tuple[str, Result]],
    in_layers: Sequence[InLayer] = (),
) -> Settled:
    """Merge the parts of all steps into one sorted list of entries. ``resolved`` gives what each runtime needs.

    Left out are the parts of resolve that lie ``in_layers``, package by package, but for those into whose folders
    something else puts files: they would be found without these, or these without them.

    Raises Collision (LB406) when a path is a file here and a folder there, WrongMachine (LB407) for native files of
    another processor.
    """
    prefix = rule.layer_prefix if build.key.kind == "layer" else ""
    left_out: list[str] = []
    files: dict[str, dict[str, str]] = {}
    own = [(step, part) for step in ORDER if step in results for part in results[step].parts]
    lists = [_own(run, build, step, part, prefix, left_out, files) for step, part in own]
    lists += _beside(run, build, prefix, left_out, files)
    mine, withheld = [entry for entries in lists for entry in entries], tuple(left_out)
    here = [(runtime, _without_layers(result, in_layers)) for runtime, result in resolved]
    lists = [*_replacing(run, build, prefix, results), *lists]
    dependencies = _dependencies(run, build, rule, here, left_out) if rule.ships_dependencies else []
    brought_back = _brought_back(run, build, rule, resolved, in_layers, [*lists, *dependencies]) if in_layers else []
    dependencies += [entries for _, entries in brought_back]
    inside: tuple[merge.Clash, ...] = ()
    if build.key.zips_dependencies and any(dependencies):
        zipped, inside = _zipped(run, build, dependencies)
        dependencies = [zipped]
    merged, clashes = merge.merge([*lists, *dependencies])
    _refuse_nothing(build, merged)
    refuse_wrong_machines(f"{build.key.kind} {build.name!r}", build.key.architecture, merged)
    return Settled(
        entries=merged,
        digest=content_digest(merged),
        unzipped=sum(entry.size for entry in merged),
        left_out=tuple(sorted(set(left_out))),
        notes=(
            *_notes(build, (*clashes, *inside)),
            *dict.fromkeys(note for note, _ in brought_back),
            *credentials.notes(build, withheld),
        ),
        warnings=tuple(credentials.warnings(build, mine, run.stats.recent)),
        files=files,
        made=(run.project.out("zipped", build.name),) if build.key.zips_dependencies and any(dependencies) else (),
    )


def _own(
    run: Run, build: Build, step: str, part: Part, prefix: str, left_out: list[str], files: dict[str, dict[str, str]]
) -> list[Entry]:
    """The entries of what the function's own code became, without what is left out of a distribution."""
    entries = _entries(run, build, part, prefix, left_out, files)
    if step == "package":
        entries, dropped = merge.filtered(entries, build.key.leave_out_package)
        left_out += [entry.path for entry in dropped]
    return entries


def _replacing(run: Run, build: Build, prefix: str, results: Mapping[str, Result]) -> Iterator[list[Entry]]:
    """Return what goes before the source, such as what its scripts made, without what is left out of the source."""
    resolved = results.get("resolve")
    if resolved is None or build.key.is_source_replaced or not run.index.rules[build.key.rule].ships_source:
        return
    for part in filter(_replaces, resolved.parts):
        entries, _ = merge.filtered(_entries(run, build, part, "", [], {}), build.key.leave_out)
        yield _below(prefix, _globbed(entries, build.key.globs)[0])


def _replaces(part: Part) -> bool:
    return isinstance(part, Folder) and part.replaces_source


def _without_layers(result: Result, in_layers: Sequence[InLayer]) -> Result:
    elsewhere = {n for package in in_layers for n in package.positions}
    return replace(result, parts=tuple(part for n, part in enumerate(result.parts) if n not in elsewhere))


def _dependencies(
    run: Run, build: Build, rule: Rule, resolved: Sequence[tuple[str, Result]], left_out: list[str]
) -> list[list[Entry]]:
    """Return what each runtime needs, filtered and in its place; one list if all need the same.

    Source of a layer's paths: https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
    """
    prefix = rule.layer_prefix if build.key.kind == "layer" else ""
    lists = [
        [wanted(run, build, rule, part, left_out) for part in result.parts if not _replaces(part)]
        for _, result in resolved
    ]
    if len(lists) < 2:
        return [_below(prefix, entries) for resolution in lists for entries in resolution]
    contents = {content_digest(entry for entries in resolution for entry in entries) for resolution in lists}
    if len(contents) < 2:
        return [_below(prefix, entries) for resolution in lists[:1] for entries in resolution]
    places = [posixpath.join(prefix, rule.runtime_folder(runtime)) for runtime, _ in resolved]
    return [_below(place, entries) for place, resolution in zip(places, lists, strict=True) for entries in resolution]


def wanted(run: Run, build: Build, rule: Rule, part: Part, left_out: list[str]) -> list[Entry]:
    """The entries of a dependency that the settings leave in, at their paths among dependencies."""
    entries, dropped = merge.filtered(_entries(run, build, part, "", left_out, {}), build.key.leave_out_dependencies)
    if rule.globs_reach_dependencies:
        entries, not_wanted = _globbed(entries, build.key.globs)
        dropped += not_wanted
    left_out += [entry.path for entry in dropped]
    return strip.stripped(run, entries, f"{build.key.kind} {build.name!r}") if build.key.strip else entries


def _below(folder: str, entries: list[Entry]) -> list[Entry]:
    if not folder:
        return entries
    return [replace(entry, path=posixpath.normpath(posixpath.join(folder, entry.path))) for entry in entries]


def _beside(
    run: Run, build: Build, prefix: str, left_out: list[str], files: dict[str, dict[str, str]]
) -> Iterator[list[Entry]]:
    """Yield what is added to the source, in the order in which it wins."""
    who = f"{build.key.kind} {build.name!r}"
    for key in source_files.extras_keys(build.key):
        yield list(from_files(run, source_files.listing(run, key, who), prefix, key.source))
    for path in build.key.include:
        listing = source_files.listing_beside(run, build.key, path, who)
        left_out += listing.left_out
        entries = list(from_files(run, listing, prefix, path))
        files[path] = _digests(listing, entries)
        yield entries


def _zipped(run: Run, build: Build, packages: list[list[Entry]]) -> tuple[list[Entry], tuple[merge.Clash, ...]]:
    """Dependencies as one zip, and the module that unpacks it where the function runs."""
    merged, clashes = merge.merge(packages)
    refuse_wrong_machines(f"{build.key.kind} {build.name!r}", build.key.architecture, merged)
    folder, helper = run.project.out("zipped", build.name), os.path.basename(HELPER)
    os.makedirs(folder, exist_ok=True)
    write_zip(os.path.join(folder, ZIPPED), merged)
    with open(HELPER, encoding="utf-8") as stream:
        write_text(os.path.join(folder, helper), stream.read())
    listing = scan(folder, Patterns(()), boundary=folder)
    return list(from_files(run, listing, "", "its packages, zipped")), clashes


def _brought_back(
    run: Run,
    build: Build,
    rule: Rule,
    resolved: Sequence[tuple[str, Result]],
    in_layers: Sequence[InLayer],
    lists: Sequence[Sequence[Entry]],
) -> list[tuple[str, list[Entry]]]:
    """The packages of layers that have to lie in the zip too, each list with a word about it."""
    claims = rule.package_layers
    if claims is None:
        return []
    here = shared_namespaces.territory((e.path for entries in lists for e in entries), claims.marker, claims.modules)
    brought = []
    for package in in_layers:
        if shared_namespaces.overlap(here, package.territory):
            parts = [resolved[0][1].parts[n] for n in package.positions]
            names = ", ".join(part.origin for part in parts if isinstance(part, Archive))
            note = f"{build.name}: {names} is in the zip though a layer has it, for other files lie in its folders"
            brought += [(note, wanted(run, build, rule, part, [])) for part in parts]
    return brought


def _entries(
    run: Run, build: Build, part: Part, prefix: str, left_out: list[str], files: dict[str, dict[str, str]]
) -> list[Entry]:
    into = posixpath.join(prefix, part.into) if prefix or part.into else ""
    if isinstance(part, Archive):
        return list(_moved(run, part, into))
    who = f"{build.key.kind} {build.name!r}"
    is_source = part.path == run.project.path(build.key.source)
    if is_source:
        listing = source_files.listing(run, build.key, who)
        left_out += listing.left_out
    else:
        listing = scan(part.path, Patterns(part.leave_out), boundary=part.path, who=who)
    entries = list(from_files(run, listing, into, origin=os.path.relpath(part.path, run.project.folder)))
    if is_source:
        files[build.key.source] = _digests(listing, entries)
    return entries


def _moved(run: Run, part: Archive, into: str) -> tuple[Entry, ...]:
    """Return the entries of an archive, made once for all that have it in the same place."""
    known = run.archives
    if (part, into) not in known:
        inside = archive_entries(part.path, index=part.path + ".index")
        known[part, into] = tuple(merge.moved(inside, part.moves, into, part.leave_out, origin=part.origin))
    return known[part, into]


def _digests(listing: Listing, entries: list[Entry]) -> dict[str, str]:
    """As ``fingerprint.files`` has them, without asking for them again."""
    pairs = zip(listing.files, entries, strict=True)
    return {file.path: entry.sha256 + ("+x" if file.executable else "") for file, entry in pairs}


def _globbed(entries: list[Entry], globs: Globs) -> tuple[list[Entry], list[Entry]]:
    """The entries that package patterns leave in, and those they take out."""
    prefix = f"{globs.prefix}/" if globs.prefix else ""
    out = {entry.path for entry in entries if decides(globs.lines, prefix + entry.path) is False}
    return [e for e in entries if e.path not in out], [e for e in entries if e.path in out]


def from_files(run: Run, listing: Listing, into: str, origin: str) -> Iterator[Entry]:
    digests = run.stats.digests((file.real, file.stat) for file in listing.files)
    for file, sha256 in zip(listing.files, digests, strict=True):
        yield Entry(
            posixpath.join(into, file.path) if into else file.path,
            file.executable,
            file.stat.st_size,
            sha256,
            FileOnDisk(file.real),
            origin,
        )


def _notes(build: Build, clashes: Iterable[merge.Clash]) -> Iterator[str]:
    errors = []
    for clash in clashes:
        origins = [entry.origin or entry.path for entry in clash.entries]
        if clash.kind == "content":
            yield f"{build.name}: {clash.path} comes from {' and '.join(origins)}; that of {origins[0]} is used"
        elif clash.kind == "case":
            yield f"{build.name}: {' and '.join(e.path for e in clash.entries)} differ in case only"
        else:
            errors.append(
                Collision(
                    f"{build.key.kind} {build.name!r}: {clash.path} is a file in {origins[0]}"
                    f" and a folder in {origins[1]}",
                    help="rename one of them, or leave one out with exclude or exclude_dependencies",
                )
            )
    raise_all(errors)


def _refuse_nothing(build: Build, entries: Sequence[Entry]) -> None:
    if not entries:
        raise BadSource(
            f"{build.key.kind} {build.name!r} would be an empty zip, which Lambda refuses",
            where=Span(build.key.source),
            help="put its code there; lambdabuild plan prints what is left out",
        )


def refuse_wrong_machines(who: str, architecture: str, entries: Sequence[Entry]) -> None:
    """Raise WrongMachine (LB407) for native files of another processor."""
    wrong = wrong_machine(entries, architecture) if architecture else []
    if wrong:
        names = ", ".join(f"{entry.path} ({entry.origin})" for entry in wrong[:5])
        raise WrongMachine(
            f"{who} is for {architecture}, but has native files for another "
            f"machine: {names}" + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""),
            help="change Architectures, build those files for it, or leave them out (exclude, exclude_dependencies)",
        )


# what is kept of a settled list


def made(project: Project, entries: Iterable[Entry]) -> list[str]:
    """The files in the machine's store that were made for this artifact, as records name them."""
    paths = (entry.location.path for entry in entries if isinstance(entry.location, FileOnDisk))
    return sorted({project.portable(path) for path in paths if path.startswith(project.cache_dir + os.sep)})


# limits


def check_limits(run: Run, name: str, zip_size: int, shared: Sequence[tuple[str, int]] = ()) -> list[str]:
    """Raise TooLarge (LB602) for what Lambda would refuse; gives notes on what it only frowns at.

    ``shared`` are the layers, with their unzipped bytes, that the build's functions get beside those they name.
    """
    entries = lists.read_list(run, name)
    errors, notes = [], limits.zip_notes(name, zip_size)
    errors += limits.check_unzipped(name, entries, [])
    for sizes in run.index.sizes.get(name, ()):
        layers = [*((layer, _unzipped(run.project, layer)) for layer in sizes.layers), *shared]
        errors += limits.check_layer_count(sizes.function, sizes.layer_count + len(shared))
        errors += limits.check_unzipped(sizes.function, entries, layers) if layers else []
    raise_all(dict.fromkeys(errors))
    return notes


def _unzipped(project: Project, name: str) -> int:
    receipt = receipts.read(project.receipt("copy", name))
    return int(receipt.result["unzipped"]) if receipt else 0


def helper_digest() -> str:
    """The digest of the module that unpacks zipped dependencies."""
    with open(HELPER, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()[:32]
