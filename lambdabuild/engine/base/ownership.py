"""Claims and removes a project's outputs outside of its state: ``artifacts.owned`` for one project.

Before a step runs, all that it makes is in the ledger. Before a run begins, the places of all that its steps make were
looked at, so that everything in the way is named while nothing is built.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from lambdabuild.artifacts import owned
from lambdabuild.config.settings import Settings
from lambdabuild.core.atomic import remove as remove_path
from lambdabuild.core.errors import InTheWay, LambdaBuildError, raise_all
from lambdabuild.core.spans import Span
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.step_kind import kind_of


def prepare(site: Site) -> None:
    """Make the folder of the project's state. Raises InTheWay (LB507) when it holds what others made."""
    owned.take(site.state_dir)


def claim_all(site: Site, steps: Iterable[tuple[str, str]]) -> None:
    """Look at everything that steps will make, trees' files too; raise all that is in the way (LB507)."""
    claim(
        site, (output for kind, name in steps for output in kind_of(site, kind).outputs(site, name)), look_inside=True
    )


def claim(site: Site, wanted: Iterable[Output], *, look_inside: bool = False) -> None:
    """Put into the ledger what is about to be made. Raises InTheWay (LB507) for what others have in its place."""
    errors: list[LambdaBuildError] = []
    free: dict[str, None] = {}
    for output in wanted:
        there = list(_in_the_way(site, output, look_inside))
        errors += [_error(site, output, there)] if there else []
        free |= {} if there else {output.path: None}
    raise_all(errors)
    site.owned.add(free)


def _in_the_way(site: Site, output: Output, look_inside: bool) -> Iterator[str]:
    """Paths of what is not ours."""
    path = output.path
    if above := _blocked(site, os.path.dirname(path)):
        yield above
        return
    is_ours = path in site.owned
    if (is_ours and not look_inside) or not os.path.lexists(path):
        return
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    if output.kind == "tree" and is_folder:
        yield from (os.path.join(path, name) for name in output.tree.strangers())
    elif not is_ours and not (output.kind == "store" and is_folder and not os.listdir(path)):
        yield path


def _blocked(site: Site, folder: str) -> str:
    """The link or file that somebody put where a folder of the build folder belongs, "" when there is none."""
    while folder.startswith(site.build_dir + os.sep):
        is_other = os.path.islink(folder) or (os.path.lexists(folder) and not os.path.isdir(folder))
        if is_other and folder not in site.owned:
            return folder
        folder = os.path.dirname(folder)
    return ""


def _error(site: Site, output: Output, there: list[str]) -> InTheWay:
    names = owned.some([_shown(site, path) for path in there])
    return InTheWay(
        f"lambdabuild did not make {names}, where {_shown(site, output.path)} is to be written",
        where=Span(there[0]),
        help="move it away, or name another build_dir; what an earlier version of lambdabuild built may be removed",
    )


def _shown(site: Site, path: str) -> str:
    return os.path.relpath(path, site.project) if path.startswith(site.project + os.sep) else path


def make_room(site: Site, path: str) -> None:
    """Make the folder that an output belongs into; what was ours in its place goes."""
    folder = os.path.dirname(path)
    missing = []
    while folder.startswith(site.build_dir + os.sep):
        if os.path.islink(folder) or not os.path.isdir(folder):
            missing.append(folder)
        folder = os.path.dirname(folder)
    for one in missing:
        if one in site.owned and os.path.lexists(one):
            os.unlink(one)
            site.owned.discard([one])
    os.makedirs(os.path.dirname(path), exist_ok=True)


def remove(site: Site, output: Output) -> None:
    """Remove an output, if it is ours; say what stays."""
    if output.path not in site.owned:
        stay = [output.path] if os.path.lexists(output.path) else []
    elif output.kind == "tree" and os.path.isdir(output.path) and not os.path.islink(output.path):
        stay = [os.path.join(output.path, name) for name in output.tree.remove()]
    else:
        remove_path(output.path)
        stay = []
    site.owned.discard([output.path])
    for path in stay:
        sys.stderr.write(f"{_shown(site, path)} stays, for lambdabuild did not make it\n")


def replace(site: Site, output: Output) -> None:
    """Clear the place of an output for another kind of thing. Raises InTheWay (LB507) for what is not ours."""
    if output.kind == "tree" and os.path.isdir(output.path) and not os.path.islink(output.path):
        if there := output.tree.remove():
            raise _error(site, output, [os.path.join(output.path, name) for name in there])
    elif os.path.lexists(output.path):
        os.unlink(output.path)


# folders that the settings name


def refuse_folders(site: Site) -> None:
    """Raise InTheWay (LB507) for a build folder or a store that is, or holds, what the build reads."""
    given = site.settings
    is_named = given.build_dir != Settings().build_dir
    errors = [_misplaced("build_dir", given.build_dir, why) for why in _held(site, site.build_dir, is_named)][:1]
    if given.store:
        reasons = list(_held(site, site.store_dir, True))
        if owned.holds(site.store_dir, site.build_dir) or owned.holds(site.state_dir, site.store_dir):
            reasons.append("is or holds the build folder, or lies in its state")
        errors += [_misplaced("store", given.store, why) for why in reasons[:1]]
    raise_all(errors)


def _held(site: Site, folder: str, is_named: bool) -> Iterator[str]:
    """Return why a folder cannot be used. Code may be in one that nobody named: other tools write to build/ too."""
    top, project = os.path.realpath(folder), os.path.realpath(site.project)
    if owned.holds(top, project):
        yield "is or holds the project's folder"
        return
    for build in site.plan.builds:
        source = os.path.normpath(os.path.join(project, build.key.source))
        if source == top:
            yield f"is the code of {build.name}"
        elif is_named and source.startswith(top + os.sep):
            yield f"holds the code of {build.name}"


def _misplaced(setting: str, value: str, why: str) -> InTheWay:
    another = {"build_dir": "build", "store": "artifacts"}[setting]
    return InTheWay(
        f"{setting} = {value!r} {why}, so lambdabuild puts nothing there",
        help=f"name a folder of its own, such as {setting} = {another!r}",
    )
