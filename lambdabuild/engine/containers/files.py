"""Files of this machine in a container: mounted, or sent as an archive."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.config.settings import Container as Wanted
from lambdabuild.core.errors import BadSettings
from lambdabuild.docker import engine_api
from lambdabuild.docker.engine_api import Container
from lambdabuild.engine.base.run import Run
from lambdabuild.files.listing import Listing, patterns, scan

HOME = "/tmp/lambdabuild/home"
"""Of all tools in a container; what is mounted to ``~`` lies there."""


def shared_folders(run: Run) -> tuple[tuple[str, str, bool], ...]:
    """Return the folders that tools read, read-only, and those that steps write to."""
    os.makedirs(run.project.cache_dir, exist_ok=True)
    written = [(folder, folder, False) for folder in (run.project.state_dir, run.project.cache_dir)]
    return (*((folder, folder, True) for folder in source_files(run)), *written)


def source_files(run: Run) -> list[str]:
    """The folders of the project and its rules, none below another."""
    top = run.project.folder if run.project.boundary == os.sep else run.project.boundary
    wanted = {top, run.project.folder, *(rule.folder for rule in run.index.rules.values() if rule.entry)}
    wanted |= {run.project.path(build.key.source) for build in run.index.plan.builds}
    wanted |= {os.path.dirname(run.project.path(one.manifest)) for one in run.index.plan.resolutions}
    there = sorted(folder for folder in wanted if os.path.isdir(folder))
    return [folder for folder in there if not any(folder.startswith(other + os.sep) for other in there)]


def brought_along(wanted: Wanted, environment: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """The mounts that were asked for, and the files that the variables name which are passed on."""
    for text in wanted.mounts:
        source, target, mode = _parsed(text)
        if not os.path.exists(source):
            raise BadSettings(
                f"[container] mounts {text!r}, but {source} does not exist", help="correct the path, or leave it out"
            )
        yield source, target, mode == "ro"
    for name in wanted.pass_environment:
        value = environment.get(name, "")
        if os.path.isabs(value) and os.path.exists(value):
            yield value, value, not _is_socket(value)


def _parsed(text: str) -> tuple[str, str, str]:
    """``source[:target][:mode]``; ``~`` is the home of whichever side it is on."""
    parts = text.split(":")
    mode = parts.pop() if parts[-1] in ("ro", "rw") else "ro"
    source, target = parts[0], parts[1] if parts[1:] else parts[0]
    target = HOME + target[1:] if target == "~" or target.startswith("~/") else target
    return os.path.abspath(os.path.expanduser(source)), target if os.path.isabs(target) else f"/{target}", mode


def _is_socket(path: str) -> bool:
    import stat

    return stat.S_ISSOCK(os.stat(path).st_mode)


PREPARE = """\
user=$1; group=$2; home=$3; shift 3
mkdir -p "$@" && chmod 1777 "$@"
name=lambdabuild
while IFS=: read -r one password id rest; do
  if [ "$id" = "$user" ]; then name=$one; else echo "$one:$password:$id:$rest"; fi
done < /etc/passwd > /tmp/.passwd
echo "$name:x:$user:$group::$home:/bin/sh" >> /tmp/.passwd
cat /tmp/.passwd > /etc/passwd
"""
"""git and ssh want to know who they run as, and ssh looks for its files where /etc/passwd says."""


def prepare_folders(container: Container, targets: Iterable[str]) -> None:
    """A home and places for temporary files that any user may write to, those that mounts made too."""
    made = {"/tmp", os.path.dirname(HOME), HOME}
    for target in targets:
        parent = os.path.dirname(target)
        while parent.startswith(HOME):
            made.add(parent)
            parent = os.path.dirname(parent)
    user, group = container.engine.user.split(":")
    command = ["sh", "-c", PREPARE, "sh", user, group, HOME, *sorted(made)]
    engine_api.execute(container, command, cwd="/", env={}, timeout_seconds=60, user="0:0")


def write_inputs(stream: IO[bytes], run: Run, brought: Sequence[tuple[str, str, bool]]) -> None:
    """The project as a mount would show it, less what no tool reads."""
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for folder in source_files(run):
            _add_files(
                archive, folder, scan(folder, patterns(DEFAULT_EXCLUDE), boundary="/", skip=run.project.not_source)
            )
        for source, target, _ in brought:
            if _is_socket(source):
                raise BadSettings(
                    f"{source} is a socket, which cannot be sent to the Docker engine",
                    help="leave it out of pass_environment and mounts, or use an engine of this machine",
                )
            archive.add(source, target.lstrip("/"), filter=as_mine)
    stream.seek(0)


def _add_files(archive: tarfile.TarFile, folder: str, listing: Listing) -> None:
    archive.add(folder, folder.lstrip("/"), recursive=False, filter=as_mine)
    for file in listing.files:
        archive.add(file.real, os.path.join(folder, file.path).lstrip("/"), recursive=False, filter=as_mine)


def as_mine(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid, info.gid, info.uname, info.gname = os.getuid(), os.getgid(), "", ""
    return info
