"""A custom runtime whose bootstrap is there already: it must be what Lambda can start."""

import os
import shutil
from collections.abc import Mapping

from lambdabuild.rule_api import BadSource, Folder, Job, Result

SCRIPT, ELF = b"#!", b"\x7fELF"
ELSEWHERE = {b"MZ": "Windows", b"\xcf\xfa\xed\xfe": "macOS", b"\xca\xfe\xba\xbe": "macOS"}
"""How programs begin that Lambda, which is Linux, cannot start."""
BUILT_FROM: Mapping[str, str] = {".go": "go.mod", ".rs": "Cargo.toml"}
"""Source that is nothing without being built, and the manifest by which its rule would have been chosen."""


def compile(job: Job) -> Result:
    """Return the bootstrap, executable; the rest of the folder is copied as it is."""
    bootstrap = os.path.join(job.target.source, "bootstrap")
    if os.path.dirname(job.target.manifest) != job.target.source or not os.path.isfile(bootstrap):
        return Result(notes=_without(job))
    _check(job, bootstrap)
    kept = os.path.join(job.out, "bootstrap")
    shutil.copyfile(bootstrap, kept)
    os.chmod(kept, 0o755)
    if os.access(bootstrap, os.X_OK):
        return Result(parts=(Folder(job.out),))
    return Result(parts=(Folder(job.out),), notes=(f"{job.target.name}: bootstrap is made executable",))


def _without(job: Job) -> tuple[str, ...]:
    """Return the parts.

    A layer may have the bootstrap: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
    """
    for name in job.files:
        manifest = BUILT_FROM.get(os.path.splitext(name)[1])
        if manifest:
            raise BadSource(
                f"{job.who} has no bootstrap, and {name} must be built",
                where=job.place(os.path.join(job.target.source, name)),
                help=f"add {manifest} to its code folder, or name one in [functions.{job.target.name}] manifest",
            )
    if job.target.kind == "layer":
        return ()
    return (f"{job.target.name}: no bootstrap in its code folder; one of its layers must have it",)


def _check(job: Job, bootstrap: str) -> None:
    with open(bootstrap, "rb") as stream:
        first = stream.readline(4096)
    if first.startswith(ELF):
        return
    system = next((system for magic, system in ELSEWHERE.items() if first.startswith(magic)), "")
    if system:
        raise _bad(job, f"is a program for {system}", "build it for Linux")
    if not first.startswith(SCRIPT):
        raise _bad(job, "is neither a program for Linux nor a script", "begin the script with: #!/bin/sh")
    if first.endswith(b"\r\n"):
        raise _bad(
            job,
            "has Windows line ends, so Linux would look for an interpreter called "
            + repr(first[2:-1].decode(errors="replace").strip(" ")),
            "save it with line feeds only; with git: echo 'bootstrap text eol=lf' >> .gitattributes",
        )


def _bad(job: Job, what: str, help: str) -> BadSource:
    return BadSource(
        f"{job.who}: its bootstrap {what}", where=job.place(os.path.join(job.target.source, "bootstrap")), help=help
    )
