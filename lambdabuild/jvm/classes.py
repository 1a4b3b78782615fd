"""Which Java a class is for, and whether the runtime's can load it.

The version in a class file: https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-4.html#jvms-4.1
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterator

from lambdabuild.core import regular
from lambdabuild.rule_api import BadManifest, Job


def take(job: Job, classes: str, *, missing: str, help: str) -> None:
    """Move the folder of classes that a tool made to where the artifact has them. Raises BadManifest (LB402)."""
    if not os.path.isdir(classes):
        raise BadManifest(f"{job.who}: {missing}", where=job.place(job.target.manifest), help=help)
    shutil.move(classes, os.path.join(job.out, "classes"))


def refuse_too_new(job: Job, classes: str, help: str) -> None:
    """Raises BadManifest (LB402) for a class that the runtime cannot load; ``help`` says how to ask for older ones."""
    for file in _files(classes) if runtime(job) else ():
        name = os.path.relpath(file, classes)
        if not _counts(name):
            continue
        with open(file, "rb", opener=regular.opener) as stream:
            made_for = _made_for(stream.read(8))
        if made_for > runtime(job):
            raise BadManifest(
                f"{job.who}: {name} is for Java {made_for}, which {job.target.runtime} cannot load",
                where=job.place(job.target.manifest),
                help=f"{help}, or change the runtime",
            )


def too_new_jars(job: Job) -> Iterator[str]:
    """Yield a note for each jar whose first class the runtime cannot load; it may be one that is never asked for."""
    for name in sorted(os.listdir(job.out)) if runtime(job) else ():
        if not zipfile.is_zipfile(os.path.join(job.out, name)):
            continue
        with zipfile.ZipFile(os.path.join(job.out, name)) as jar:
            first = next(filter(_counts, jar.namelist()), "")
            made_for = _made_for(jar.read(first)) if first else 0
        if made_for > runtime(job):
            yield f"{name} is for Java {made_for}, which {job.target.runtime} cannot load"


def runtime(job: Job) -> int:
    """Return the Java of the runtime, 0 when it names none."""
    match = re.match(r"java(\d+)", job.target.runtime)
    return int(match[1]) if match else 0


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in sorted(names))


def _counts(name: str) -> bool:
    """Return whether every Java that sees the class must be able to load it."""
    return name.endswith(".class") and not name.startswith("META-INF/") and not name.endswith("module-info.class")


def _made_for(head: bytes) -> int:
    """Return the oldest Java that can load a class file: its version is 44 more."""
    return int.from_bytes(head[6:8]) - 44
