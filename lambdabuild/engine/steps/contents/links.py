"""Builds that several functions have, and builds that have the same dependencies."""

from __future__ import annotations

import os
from collections.abc import Callable

from lambdabuild.engine.base import ownership
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run


def link_users(run: Run, name: str, suffix: str) -> None:
    """Link a build's zip (``suffix`` ".zip") or tree ("") under the names of all who have it."""
    for user in run.index.builds[name].users:
        if user == name:
            continue
        output = Output(run.project.zip(user)) if suffix else tree_output(run.project, user)
        link = output.path
        target = os.path.relpath(os.path.join(run.project.build_dir, name + suffix), os.path.dirname(link))
        ownership.make_room(run, link)
        if os.path.islink(link) and os.readlink(link) == target:
            continue
        ownership.replace(run.project, output)
        os.symlink(target, link)


def with_the_same_dependencies(index: PlanIndex, name: str, made: Callable[[str], str]) -> tuple[str, ...]:
    """Return the other build with the same dependencies whose zip or tree is the newest, if there is one."""
    resolved = index.builds[name].resolution
    users = index.resolutions[resolved].users if resolved else ()
    others = [user for user in users if user != name and os.path.exists(made(user))]
    return tuple(sorted(others, key=lambda user: os.stat(made(user)).st_mtime_ns)[-1:])
