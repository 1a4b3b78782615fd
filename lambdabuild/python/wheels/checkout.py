"""Lend a project's git checkout to a copy of the project, for backends that read it.

They ask for the version (setuptools-scm, hatch-vcs) and for what is ignored (poetry-core). What they are given is a
clone that shares the objects; the checkout itself is not written to.
"""

from __future__ import annotations

import os
import shutil

from lambdabuild.core import tools
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import Struct
from lambdabuild.rule_api import Job

SAYS_VERSION = ("packed-refs", os.path.join("refs", "heads"), os.path.join("refs", "tags"), "reftable")


class Lent(Struct, frozen=True):
    """The copy's folder, and the files that a backend reads from the checkout."""

    folder: str
    ignores: tuple[str, ...] = ()
    """The .gitignore files above the project."""
    commits: tuple[str, ...] = ()
    """Return the files that say which commit this is and which tags exist."""


def lend(job: Job, copy: str) -> Lent:
    """Return the copy of ``job.target.source`` inside a clone of the checkout.

    As it is when there is none, or no git.
    """
    git = tools.find("git")
    if git is None:
        return Lent(copy)
    try:
        question = ["rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--show-prefix"]
        answers = job.run([git, *question], cwd=job.target.source).stdout.splitlines()
        top, own, common, prefix = (*answers, "")[:4]
        clone = _clone(job, git, top, own)
    except (LambdaBuildError, OSError):
        return Lent(copy)
    place = _placed(copy, clone, prefix)
    ignores = _with_ignores(top, clone, prefix)
    # What was not copied is not missing, and a link that was followed is not a change.
    gone = job.run([git, "diff-files", "--name-only", "--diff-filter=DT", "-z"], cwd=clone).stdout
    job.run([git, "update-index", "-z", "--skip-worktree", "--stdin"], cwd=clone, stdin=gone)
    common = os.path.normpath(os.path.join(job.target.source, common))
    return Lent(place, ignores, (os.path.join(own, "HEAD"), *(os.path.join(common, name) for name in SAYS_VERSION)))


def _clone(job: Job, git: str, top: str, own: str) -> str:
    """With the checkout's own index, so that what is staged is known; it has none before the first commit."""
    clone = os.path.join(job.scratch, "checkout")
    job.run([git, "clone", "--quiet", "--shared", "--no-checkout", top, clone])
    if os.path.exists(os.path.join(own, "index")):
        shutil.copyfile(os.path.join(own, "index"), os.path.join(clone, ".git", "index"))
    return clone


def _placed(copy: str, clone: str, prefix: str) -> str:
    """Return the project's folder in the copy of the checkout."""
    place = os.path.normpath(os.path.join(clone, prefix))
    os.makedirs(place, exist_ok=True)
    for name in os.listdir(copy):
        os.rename(os.path.join(copy, name), os.path.join(place, name))
    return place


def _with_ignores(top: str, clone: str, prefix: str) -> tuple[str, ...]:
    """Copy the .gitignore files of the folders above the project; return where they are or may appear."""
    places, folder = [], os.path.normpath(prefix)
    while folder != ".":
        folder = os.path.dirname(folder) or "."
        place = os.path.normpath(os.path.join(top, folder, ".gitignore"))
        places.append(place)
        if os.path.isfile(place):
            shutil.copyfile(place, os.path.join(clone, folder, ".gitignore"))
    return tuple(places)
