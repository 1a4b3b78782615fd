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
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of


def prepare(run: Run) -> None:
    """Make the folder of the project's state. Raises InTheWay (LB507) when it holds what others made."""
    owned.take(run.project.state_dir)


def claim_all(run: Run, steps: Iterable[tuple[str, str]]) -> None:
    """Look at everything that steps will make, trees' files too; raise all that is in the way (LB507)."""
    claim(
        run,
        (output for kind, name in steps for output in kind_of(run.index, kind).outputs(run, name)),
        look_inside=True,
    )


def claim(run: Run, wanted: Iterable[Output], *, look_inside: bool = False) -> None:
    """Put into the ledger what is about to be made. Raises InTheWay (LB507) for what others have in its place."""
    errors: list[LambdaBuildError] = []
    free: dict[str, None] = {}
    for output in wanted:
        there = list(_in_the_way(run, output, look_inside))
        errors += [_error(run.project, output, there)] if there else []
        free |= {} if there else {output.path: None}
    raise_all(errors)
    run.owned.add(free)


def _in_the_way(run: Run, output: Output, look_inside: bool) -> Iterator[str]:
    """Paths of what is not ours."""
    path = output.path
    if above := _blocked(run, os.path.dirname(path)):
        yield above
        return
    is_ours = path in run.owned
    if (is_ours and not look_inside) or not os.path.lexists(path):
        return
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    if output.kind == "tree" and is_folder:
        yield from (os.path.join(path, name) for name in output.tree.strangers())
    elif not is_ours and not (output.kind == "store" and is_folder and not os.listdir(path)):
        yield path


def _blocked(run: Run, folder: str) -> str:
    """The link or file that somebody put where a folder of the build folder belongs, "" when there is none."""
    while folder.startswith(run.project.build_dir + os.sep):
        is_other = os.path.islink(folder) or (os.path.lexists(folder) and not os.path.isdir(folder))
        if is_other and folder not in run.owned:
            return folder
        folder = os.path.dirname(folder)
    return ""


def _error(project: Project, output: Output, there: list[str]) -> InTheWay:
    names = owned.some([_shown(project, path) for path in there])
    return InTheWay(
        f"lambdabuild did not make {names}, where {_shown(project, output.path)} is to be written",
        where=Span(there[0]),
        help="move it away, or name another build_dir; what an earlier version of lambdabuild built may be removed",
    )


def _shown(project: Project, path: str) -> str:
    return os.path.relpath(path, project.folder) if path.startswith(project.folder + os.sep) else path


def make_room(run: Run, path: str) -> None:
    """Make the folder that an output belongs into; what was ours in its place goes."""
    folder = os.path.dirname(path)
    missing = []
    while folder.startswith(run.project.build_dir + os.sep):
        if os.path.islink(folder) or not os.path.isdir(folder):
            missing.append(folder)
        folder = os.path.dirname(folder)
    for one in missing:
        if one in run.owned and os.path.lexists(one):
            os.unlink(one)
            run.owned.discard([one])
    os.makedirs(os.path.dirname(path), exist_ok=True)


def remove(run: Run, output: Output) -> None:
    """Remove an output, if it is ours; say what stays."""
    if output.path not in run.owned:
        stay = [output.path] if os.path.lexists(output.path) else []
    elif output.kind == "tree" and os.path.isdir(output.path) and not os.path.islink(output.path):
        stay = [os.path.join(output.path, name) for name in output.tree.remove()]
    else:
        remove_path(output.path)
        stay = []
    run.owned.discard([output.path])
    for path in stay:
        sys.stderr.write(f"{_shown(run.project, path)} stays, for lambdabuild did not make it\n")


def replace(project: Project, output: Output) -> None:
    """Clear the place of an output for another kind of thing. Raises InTheWay (LB507) for what is not ours."""
    if output.kind == "tree" and os.path.isdir(output.path) and not os.path.islink(output.path):
        if there := output.tree.remove():
            raise _error(project, output, [os.path.join(output.path, name) for name in there])
    elif os.path.lexists(output.path):
        os.unlink(output.path)


# folders that the settings name


def refuse_folders(run: Run) -> None:
    """Raise InTheWay (LB507) for a build folder or a store that is, or holds, what the build reads."""
    given = run.project.settings
    is_named = given.build_dir != Settings().build_dir
    errors = [_misplaced("build_dir", given.build_dir, why) for why in _held(run, run.project.build_dir, is_named)][:1]
    if given.store:
        reasons = list(_held(run, run.project.store_dir, True))
        if owned.holds(run.project.store_dir, run.project.build_dir) or owned.holds(
            run.project.state_dir, run.project.store_dir
        ):
            reasons.append("is or holds the build folder, or lies in its state")
        errors += [_misplaced("store", given.store, why) for why in reasons[:1]]
    raise_all(errors)


def _held(run: Run, folder: str, is_named: bool) -> Iterator[str]:
    """Return why a folder cannot be used. Code may be in one that nobody named: other tools write to build/ too."""
    top, project = os.path.realpath(folder), os.path.realpath(run.project.folder)
    if owned.holds(top, project):
        yield "is or holds the project's folder"
        return
    for build in run.index.plan.builds:
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
