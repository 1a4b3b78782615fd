"""Which files are a build's source: what lies in its folder and beside it, without what is left out."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable

from lambdabuild.artifacts import limits
from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.core.errors import BadSource, NoInclude, raise_all
from lambdabuild.core.model import Globs
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.files.globs import GlobbedPatterns
from lambdabuild.files.listing import IGNORE_FILE, Found, Listing, Patterns, ignore_lines, patterns, scan
from lambdabuild.plan.types import BuildKey, Rule


def listing(run: Run, key: BuildKey, who: str = "") -> Listing:
    """The files of a build's source that may enter its artifact."""
    return run.listings.get(key, lambda: _listing(run, key, who))


def _listing(run: Run, key: BuildKey, who: str) -> Listing:
    folder = run.project.path(key.source)
    _refuse_way_out(run.project, key, folder, who)
    for file in ignore_files(run, key)[1:]:
        if os.path.exists(file):  # that it comes or goes is seen by its folder
            run.stats.record(file)
    chosen = source_patterns(run, key, ignore_lines)
    listing = scan(folder, chosen, boundary=run.project.boundary, skip=run.project.not_source, who=who)
    _refuse_large(run.index, key, listing, who)
    return listing


def ignore_files(run: Run, key: BuildKey) -> tuple[str, ...]:
    """The files whose patterns are about a build's source: the project's, then the source's own."""
    folder = run.project.path(key.source)
    own = (*((IGNORE_FILE,) if folder != run.project.folder else ()), *run.index.rules[key.rule].ignore_files)
    return (os.path.join(run.project.folder, IGNORE_FILE), *(os.path.join(folder, name) for name in own))


def source_patterns(run: Run, key: BuildKey, lines_of: Callable[..., tuple[str, ...]]) -> Patterns:
    """Return the patterns of what stays out of an artifact; ``lines_of`` reads ignore files (``ignore_lines``)."""
    first, *own = (os.path.split(file) for file in ignore_files(run, key))
    lines = [*key.leave_out, *lines_of(*first, below=key.source)]
    lines += (line for folder, name in own for line in lines_of(folder, name))
    if key.globs.lines:
        return GlobbedPatterns(lines, key.globs.lines, key.globs.prefix)
    return patterns(tuple(lines))


def listing_of_manifest(project: Project, manifest: str, who: str = "") -> Listing:
    """All that lies beside a manifest, for its scripts: what is left out of artifacts too, but for what tools leave."""
    chosen = patterns((*DEFAULT_EXCLUDE, "node_modules/", "!.gitignore", "!.env"))
    return scan(
        os.path.dirname(project.path(manifest)),
        chosen,
        boundary=project.boundary,
        skip=project.not_source,
        who=who,
    )


def listing_beside(run: Run, key: BuildKey, path: str, who: str = "") -> Listing:
    """The files of something that goes in beside a build's source: a folder's content, or the file itself.

    Raises NoInclude (LB415) when it is gone.
    """
    real = run.project.path(path)
    if os.path.isdir(real):
        return listing(run, key_beside(key, path), who)
    _refuse_way_out(run.project, key_beside(key, path), real, who)
    run.stats.record(real)
    try:
        return Listing((Found(os.path.basename(real), real, os.stat(real)),), ())
    except OSError as error:
        raise NoInclude(
            f"{who}: {path}, which is to go in, cannot be read: {error.strerror}", where=Span(path)
        ) from error


def key_beside(key: BuildKey, path: str) -> BuildKey:
    """The key as though the source were what goes in beside it."""
    return replace(key, source=path, globs=Globs())


def extras_keys(key: BuildKey) -> list[BuildKey]:
    """The key as though the source were its extras, a key for each folder that they are looked for in.

    Files of a folder above the service, which lines such as ``../lib/**`` name, keep their paths below that folder.
    """
    up = posixpath.relpath("/", posixpath.join("/", key.globs.prefix))
    service, by_level = posixpath.normpath(posixpath.join(key.source, up)), dict[str, list[str]]()
    for line in key.extras:
        sign, body = ("!", line[1:]) if line.startswith("!") else ("", line)
        levels = (len(body) - len(re.sub(r"^(\.\./)+", "", body))) // len("../")
        by_level.setdefault("../" * levels, []).append(sign + body[levels * len("../") :])
    return [
        replace(
            key,
            source=posixpath.normpath(posixpath.join(service, above)) if above else key.source,
            globs=Globs(("!**", *lines), "" if above else key.globs.prefix),
        )
        for above, lines in by_level.items()
    ]


def _refuse_large(index: PlanIndex, key: BuildKey, listing: Listing, who: str) -> None:
    """Raise TooLarge (LB602) by sizes alone, before a byte is read, for what is shipped as it is."""
    is_shipped = index.rules[key.rule].ships_source and not key.is_source_replaced and key.kind != "source"
    if is_shipped:
        sizes = [(file.path, file.stat.st_size) for file in listing.files]
        raise_all(limits.check_files(f"{who or key.kind}: the code folder {key.source}/", sizes))


def _refuse_way_out(project: Project, key: BuildKey, folder: str, who: str) -> None:
    """A code folder may lie elsewhere when the template says so, but not by a link in the project."""
    real, boundary = os.path.realpath(folder), project.real_boundary
    if folder.startswith(project.folder + os.sep) and not (real + os.sep).startswith(boundary + os.sep):
        raise BadSource(
            f"{who}: the code folder {key.source}/ is reached by a link that leaves the project: {real}",
            where=Span(key.source),
            help="name the folder itself in the template, or set project_root",
        )


def manifest_files(rule: Rule, manifest: str, workspace: str = "") -> tuple[str, ...]:
    """The manifest and every lock file that might stand beside it, those that are not there included; of a package of a
    workspace also those of its root."""
    if not manifest:
        return ()
    folder, names = posixpath.dirname(manifest), (*rule.lock_files, *rule.companions)
    beside = [posixpath.join(folder, name) for name in names]
    if workspace and rule.workspace is not None:
        beside += [posixpath.join(workspace, name) for name in (*rule.workspace.files, *names)]
    return tuple(dict.fromkeys((manifest, *map(posixpath.normpath, beside))))
