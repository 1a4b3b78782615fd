"""A Dockerfile for containers, with all that it may copy: its digest, and as an archive.

Which files that is, ``docker.context`` says, for these Dockerfiles as for the images of functions.
"""

from __future__ import annotations

import os
from typing import IO

from lambdabuild.core import regular
from lambdabuild.core.errors import BadSettings
from lambdabuild.core.spans import Span
from lambdabuild.docker import context as contexts
from lambdabuild.docker.context import Context
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.files import fingerprint


def dockerfile_digest(run: Run, dockerfile: str) -> str:
    """Return the digest of a Dockerfile and of all that it may copy."""
    files = {"Dockerfile": fingerprint.of_file(run.project.path(dockerfile), run.stats)}
    if _copies(run.project, dockerfile):
        files["folder"] = contexts.digest(f"dockerfile {dockerfile}", context(run, dockerfile), run.stats)
    return fingerprint.of(files)[:32]


def context(run: Run, dockerfile: str) -> Context:
    """Return what the engine gets: the Dockerfile's folder by its .dockerignore, without .git; nothing if it copies
    nothing."""
    path = run.project.path(dockerfile)
    folder = os.path.dirname(path)
    if not _copies(run.project, dockerfile):
        return Context(folder, path, (), (), "")
    skip = frozenset({*run.project.not_source, os.path.realpath(os.path.join(folder, ".git"))})
    return contexts.read(folder, path, run.stats, skip=skip, who=f"the Dockerfile {dockerfile}")


def _copies(project: Project, dockerfile: str) -> bool:
    """Return whether a Dockerfile copies files. Raises BadSettings (LB107) when it cannot be read."""
    try:
        text = regular.read_text(project.path(dockerfile), errors="replace")
    except OSError as error:
        raise BadSettings(
            f"the Dockerfile {dockerfile} cannot be read: {error.strerror}",
            where=Span(dockerfile),
            help="correct the setting dockerfile; it is relative to the project's folder",
        ) from error
    words = {line.split()[0].upper() for line in text.splitlines() if line.split()}
    return bool(words & {"COPY", "ADD"})


def write_context(stream: IO[bytes], context: Context) -> None:
    """Write the context as a tar, from its start."""
    contexts.write_tar(context, stream)
    stream.seek(0)
