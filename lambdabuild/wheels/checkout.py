"""The git checkout that a project lies in, lent to a copy of the project, for backends that ask it.

They ask for the version (setuptools-scm, hatch-vcs) and for what is ignored (poetry-core). What they are given is a
clone that shares the objects; the checkout itself is not written to.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from lambdabuild import tools
from lambdabuild.errors import LambdaBuildError
from lambdabuild.rule_api import Job

SAYS_VERSION = ("packed-refs", os.path.join("refs", "heads"), os.path.join("refs", "tags"), "reftable")


@dataclass(frozen=True)
class Lent:
    """Where the copy is now, and the files that what a backend learns rests on."""

    folder: str
    reads: tuple[str, ...] = ()


def lend(job: Job, copy: str) -> Lent:
    """The copy of ``job.target.source`` inside a clone of the checkout; as it is when there is none, or no git."""
    git = tools.find("git")
    if git is None:
        return Lent(copy)
    try:
        question = ["rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--show-prefix"]
        said = job.run([git, *question], cwd=job.target.source).stdout.splitlines()
        top, own, common, prefix = (*said, "")[:4]
        return _lent(job, git, copy, top, own, os.path.join(job.target.source, common), prefix)
    except LambdaBuildError:
        return Lent(copy)


def _lent(job: Job, git: str, copy: str, top: str, own: str, common: str, prefix: str) -> Lent:
    clone = os.path.join(job.scratch, "checkout")
    job.run([git, "clone", "--quiet", "--shared", "--no-checkout", top, clone])
    shutil.copyfile(os.path.join(own, "index"), os.path.join(clone, ".git", "index"))
    place = os.path.normpath(os.path.join(clone, prefix))
    if prefix:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(copy, place)
    else:
        for name in os.listdir(copy):
            os.rename(os.path.join(copy, name), os.path.join(clone, name))
    # What was not copied is not missing, and a link that was followed is not a change.
    gone = job.run([git, "diff-files", "--name-only", "--diff-filter=DT", "-z"], cwd=clone).stdout
    job.run([git, "update-index", "-z", "--skip-worktree", "--stdin"], cwd=clone, stdin=gone)
    head = os.path.join(own, "HEAD")
    return Lent(place, (head, *(os.path.normpath(os.path.join(common, name)) for name in SAYS_VERSION)))
