"""The containers of one run: started when a tool is first to run in one, shared by all steps, gone when the run ends.

A rule's step knows nothing of it: it is given a ``Runner``. With an engine that sees this machine's files the folders
are mounted under their own paths; else they are sent before a tool runs and fetched after it.
"""

from __future__ import annotations

import os
import socket
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

from lambdabuild import tools
from lambdabuild.engine import docker
from lambdabuild.engine.docker import Container, Engine
from lambdabuild.engine.site import Site
from lambdabuild.errors import BadSettings, LambdaBuildError, NoEngine, ToolTimeout
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import Listing, ignore_lines, patterns, scan
from lambdabuild.plan.types import Native
from lambdabuild.rule_api import Job
from lambdabuild.settings import DEFAULT_EXCLUDE
from lambdabuild.settings import Container as Wanted
from lambdabuild.spans import Span

HOME = "/tmp/lambdabuild/home"
"""Of all tools in a container; what is mounted to ``~`` lies there."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
NOT_INSIDE = frozenset({"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "SYSTEMROOT"})
"""What of the base environment is about this machine."""
PROJECT, RUN, DOCKERFILE = "lambdabuild.project", "lambdabuild.run", "lambdabuild.dockerfile"
"""Labels: whose container, of which run; what an image was built from."""
KILLED = 137
"""The exit code of a program that was killed (128 + SIGKILL)."""


@dataclass
class Running:
    """A container in which tools run."""

    container: Container
    shares: bool
    """Whether folders are mounted."""
    programs: dict[str, str | None] = field(default_factory=dict)


class Fleet:
    """All containers of one run, one for each ``Native``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lock = threading.Lock()
        self.turns: dict[Native, threading.Lock] = {}
        self.running: dict[Native, Running] = {}
        self.images: dict[Native, str] = {}
        self.answers: dict[str, str] = {}
        """What the engine said of images that earlier runs used."""
        self.found: Engine | None = None

    def engine(self) -> Engine:
        with self.lock:
            if self.found is None:
                self.found = docker.connect()
            return self.found

    def image(self, native: Native) -> str:
        """The id of the image, pulled or built when it has to be."""
        with self._turn(native):
            if native not in self.images:
                self.images[native] = self._image(native)
            return self.images[native]

    def _image(self, native: Native) -> str:
        engine, wanted = self.engine(), self._wanted(native)
        if not native.dockerfile:
            pull = "never" if self.site.settings.offline else wanted.pull
            return docker.get_image(engine, native.image, native.platform, pull)
        listing = context(self.site, native.dockerfile)
        with tempfile.TemporaryFile() as stream:
            _write_context(stream, listing, os.path.basename(native.dockerfile))
            label = f"{DOCKERFILE}={dockerfile_digest(self.site, native.dockerfile)} {native.platform}"
            return docker.built_image(engine, label, stream, native.platform, wanted.network, native.dockerfile)

    def container(self, native: Native) -> Running:
        """The running container, started when it is the first time."""
        image = self.image(native)
        with self._turn(native):
            if native not in self.running:
                if not self.running:
                    sweep(self.site, self.engine())
                self.running[native] = self._started(native, image)
            return self.running[native]

    def _started(self, native: Native, image: str) -> Running:
        engine, wanted = self.engine(), self._wanted(native)
        labels = {PROJECT: project_label(self.site), RUN: run_label(self.site)}
        name = f"{wanted.name}-{len(self.running) + 1}" if wanted.name and self.running else wanted.name
        spec = docker.Spec(image, native.platform, labels, name, wanted.network)
        brought = list(_brought(wanted))
        if wanted.transfer == "mount" or (wanted.transfer == "auto" and engine.may_share):
            mounts = (*_folders(self.site), *brought)
            running = self._sharing(replace(spec, mounts=mounts), wanted.transfer == "mount")
            if running is not None:
                return running
        container = docker.start(engine, spec)
        running = Running(container, shares=False)
        _prepare(container, [target for _, target, _ in brought])
        with tempfile.TemporaryFile() as stream:
            _write_inputs(stream, self.site, brought)
            docker.put(container, stream)
        return running

    def _sharing(self, spec: docker.Spec, must: bool) -> Running | None:
        """A container with folders mounted; None when the engine lives where they are others, or are not."""
        with self.site.scratch() as scratch:
            try:
                container = docker.start(self.engine(), spec)
            except docker.NoShare as error:
                if not must:
                    return None
                raise BadSettings(
                    f"the Docker engine does not see this machine's folders: {error}",
                    mend='leave transfer out of [container], or set it to "archive"',
                ) from error
            _prepare(container, [target for _, target, _ in spec.mounts])
            probe = docker.execute(container, ["test", "-d", scratch], cwd="/", env={}, timeout_seconds=60)
        if probe.status and not must:
            docker.remove(container)
            return None
        return Running(container, shares=True)

    def _wanted(self, native: Native) -> Wanted:
        """The settings of a container; all that share it have the same."""
        plan = self.site.plan
        named = [(one.name, one.key.native) for one in plan.builds]
        named += [(one.users[0], one.key.native) for one in plan.resolutions]
        return self.site.settings.container_of(next(name for name, its in named if its == native))

    def _turn(self, native: Native) -> threading.Lock:
        with self.lock:
            return self.turns.setdefault(native, threading.Lock())

    def close(self) -> None:
        """End all containers."""
        for running in list(self.running.values()):
            docker.remove(running.container)
        self.running.clear()


def fleet(site: Site) -> Fleet:
    """The run's containers; none is started yet."""
    with site.shared.lock:
        if site.shared.fleet is None:
            site.shared.fleet = Fleet(site)
        found: Fleet = site.shared.fleet
        return found


def close(site: Site) -> None:
    """End what the run has started."""
    if site.shared.fleet is not None:
        site.shared.fleet.close()


def sweep(site: Site, engine: Engine | None = None) -> None:
    """Remove containers that an earlier run in this project could not."""
    found = engine or fleet(site).engine()
    for stray in docker.strays(found, {PROJECT: project_label(site)}, run_label(site)):
        docker.remove_stray(found, stray)


def sweep_if_there(site: Site) -> None:
    """The same for ``doit clean``, which has nothing to do where there is no engine. Once a run."""
    modes = {build.key.native.mode for build in site.plan.builds}
    modes |= {resolution.key.native.mode for resolution in site.plan.resolutions}
    if modes <= {""} or site.shared.is_swept:
        return
    site.shared.is_swept = True
    try:
        sweep(site)
    except LambdaBuildError:
        pass


def project_label(site: Site) -> str:
    """Names a project on an engine that others use too."""
    return f"{socket.gethostname()}:{site.project}"


def run_label(site: Site) -> str:
    return f"{site.shared.process}-{site.given.opened_ns}"


# images as inputs of a step


def key_of(native: Native) -> str:
    """How a step's record names the image that its tools ran in."""
    return f"dockerfile:{native.dockerfile}" if native.dockerfile else f"image:{native.image}"


def used(site: Site, native: Native) -> dict[str, str]:
    """The image, as a step that has just run in it records it."""
    if native.dockerfile:
        return {key_of(native): dockerfile_digest(site, native.dockerfile)}
    return {key_of(native): fleet(site).image(native)}


def now(site: Site, recorded: Mapping[str, str]) -> dict[str, str]:
    """The images that a step's last run used, as they are now.

    An image that is gone, or an engine that does not answer, is no reason to build anew: as it was counts.
    """
    return {key: _now(site, key, old) for key, old in recorded.items()}


def _now(site: Site, key: str, old: str) -> str:
    kind, _, name = key.partition(":")
    if kind == "dockerfile":
        return dockerfile_digest(site, name)
    answers = fleet(site).answers
    if key not in answers:
        try:
            answers[key] = docker.find_image(fleet(site).engine(), name)
        except NoEngine:
            answers[key] = ""
    return answers[key] or old


def must_ask(recorded: Iterable[str]) -> bool:
    """Whether only the engine knows what an image is now; a name with a digest says it itself."""
    return any(key.startswith("image:") and "@sha256:" not in key for key in recorded)


def dockerfile_digest(site: Site, dockerfile: str) -> str:
    """The digest of a Dockerfile and of all that it may copy."""
    return fingerprint.of_listing(f"dockerfile {dockerfile}", context(site, dockerfile), site.stats)[:32]


def context(site: Site, dockerfile: str) -> Listing:
    """The Dockerfile's folder without what its .dockerignore leaves out; when it copies nothing, it alone."""
    path = site.path(dockerfile)
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            words = {line.split()[0].upper() for line in stream if line.split()}
    except OSError as error:
        raise BadSettings(
            f"the Dockerfile {dockerfile} cannot be read: {error.strerror}",
            where=Span(dockerfile),
            mend="correct the setting dockerfile; it is relative to the project's folder",
        ) from error
    folder, name = os.path.split(path)
    alone = ("/*", f"!/{name}")
    lines = (".git/", *_dockerignored(folder)) if words & {"COPY", "ADD"} else alone
    site.stats.saw(os.path.join(folder, ".dockerignore"))
    return scan(folder, patterns((*lines, f"!/{name}")), boundary=site.boundary, skip=site.not_source)


def _dockerignored(folder: str) -> Iterator[str]:
    """Patterns of a .dockerignore count from its folder, with a slash before them or not."""
    for line in ignore_lines(folder, ".dockerignore"):
        bare = line.removeprefix("!").strip("/")
        yield ("!" if line.startswith("!") else "") + (bare if bare.startswith("**") else f"/{bare}")


def _write_context(stream: IO[bytes], listing: Listing, dockerfile: str) -> None:
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for found in listing.files:
            archive.add(found.real, "Dockerfile" if found.path == dockerfile else found.path, filter=_plain)
    stream.seek(0)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


# what a container has of this machine


def _folders(site: Site) -> tuple[tuple[str, str, bool], ...]:
    """What tools read, read-only; what steps write into."""
    os.makedirs(site.cache_dir, exist_ok=True)
    written = [(folder, folder, False) for folder in (site.state_dir, site.cache_dir)]
    return (*((folder, folder, True) for folder in _inputs(site)), *written)


def _inputs(site: Site) -> list[str]:
    """The folders of the project and its rules, none below another."""
    top = site.project if site.boundary == os.sep else site.boundary
    wanted = {top, site.project, *(rule.folder for rule in site.rules.values() if rule.entry)}
    wanted |= {site.path(build.key.source) for build in site.plan.builds}
    wanted |= {os.path.dirname(site.path(one.manifest)) for one in site.plan.resolutions}
    there = sorted(folder for folder in wanted if os.path.isdir(folder))
    return [folder for folder in there if not any(folder.startswith(other + os.sep) for other in there)]


def _brought(wanted: Wanted) -> Iterator[tuple[str, str, bool]]:
    """The mounts that were asked for, and the files that the variables name which are passed on."""
    for text in wanted.mounts:
        source, target, mode = _parsed(text)
        if not os.path.exists(source):
            raise BadSettings(
                f"[container] mounts {text!r}, but {source} does not exist", mend="correct the path, or leave it out"
            )
        yield source, target, mode == "ro"
    for name in wanted.pass_environment:
        value = os.environ.get(name, "")
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


def _prepare(container: Container, targets: Iterable[str]) -> None:
    """A home and places for temporary files that any user may write to, those that mounts made too."""
    made = {"/tmp", os.path.dirname(HOME), HOME}
    for target in targets:
        parent = os.path.dirname(target)
        while parent.startswith(HOME):
            made.add(parent)
            parent = os.path.dirname(parent)
    user, group = container.engine.user.split(":")
    command = ["sh", "-c", PREPARE, "sh", user, group, HOME, *sorted(made)]
    docker.execute(container, command, cwd="/", env={}, timeout_seconds=60, user="0:0")


def _write_inputs(stream: IO[bytes], site: Site, brought: Sequence[tuple[str, str, bool]]) -> None:
    """The project as a mount would show it, less what no tool reads."""
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for folder in _inputs(site):
            _add_files(archive, folder, scan(folder, patterns(DEFAULT_EXCLUDE), boundary="/", skip=site.not_source))
        for source, target, _ in brought:
            if _is_socket(source):
                raise BadSettings(
                    f"{source} is a socket, which cannot be sent to the Docker engine",
                    mend="leave it out of pass_environment and mounts, or use an engine of this machine",
                )
            archive.add(source, target.lstrip("/"), filter=_mine)
    stream.seek(0)


def _add_files(archive: tarfile.TarFile, folder: str, listing: Listing) -> None:
    archive.add(folder, folder.lstrip("/"), recursive=False, filter=_mine)
    for found in listing.files:
        archive.add(found.real, os.path.join(folder, found.path).lstrip("/"), recursive=False, filter=_mine)


def _mine(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid, info.gid, info.uname, info.gname = os.getuid(), os.getgid(), "", ""
    return info


# where a step's tools run


class InContainer:
    """Tools of a container, for one step. Started by the first tool that is to run."""

    def __init__(self, site: Site, native: Native, name: str) -> None:
        self.fleet, self.native = fleet(site), native
        self.wanted = site.settings.container_of(name)
        self.job: Job | None = None
        """The step, once it is known."""
        self.is_used = False

    @property
    def machine(self) -> tuple[str, str]:
        processor = self.native.platform.split("/")[1]
        return "Linux", MACHINES.get(processor, processor)

    @property
    def identity(self) -> str:
        self.is_used = True
        return f"{self.fleet.image(self.native)} {self.native.platform} {self.native.rest}"

    def find(self, name: str) -> str | None:
        programs = self._running().programs
        if name not in programs:
            ended = self._execute(["sh", "-c", 'command -v "$0"', name], "/", {}, 60)
            programs[name] = ended.stdout.strip() or None if ended.status == 0 else None
        return programs[name]

    def run(
        self, argv: Sequence[str], *, cwd: str, names: Sequence[str], extra: Mapping[str, str],
        timeout_seconds: float | None, who: str, mend: str, stdin: str | None,
    ) -> tools.Output:  # fmt: skip
        job, running = self._job(), self._running()
        command = list(argv)
        if stdin is not None:
            with tempfile.NamedTemporaryFile("w", dir=job.scratch, encoding="utf-8", delete=False) as stream:
                stream.write(stdin)
            command = ["sh", "-c", 'exec "$@" < "$0"', stream.name, *command]
        if not running.shares:
            _send(running.container, job)
        ended = self._execute(command, cwd, self._environment(names, extra), timeout_seconds)
        if not running.shares:
            _fetch(running.container, job)
        if not ended.in_time:
            raise ToolTimeout(
                f"{who}: {os.path.basename(argv[0])} took longer than {timeout_seconds:g} s and was stopped",
                tail=f"command: {' '.join(argv)}\nfolder: {cwd}\ncontainer: {self._shown}",
                mend="raise tool_timeout_seconds, or look at what the tool waits for",
            )
        if ended.status:
            raise self._failure(argv, cwd, ended, who, mend)
        return tools.Output(ended.stdout, ended.stderr)

    def _failure(self, argv: Sequence[str], cwd: str, ended: docker.Ended, who: str, mend: str) -> LambdaBuildError:
        if docker.NO_SPACE in (ended.stdout + ended.stderr).lower():
            mend = "make room in the container and on the engine's disk: docker system prune"
        elif ended.status == KILLED:
            mend = "it was killed, as for want of memory: give the engine more"
        error = tools.failure(argv, cwd, ended.status, ended.stdout, ended.stderr, who=who, mend=mend)
        error.tail = f"container: {self._shown}\n{error.tail}"
        return error

    @property
    def _shown(self) -> str:
        return self.native.dockerfile or self.native.image

    def _running(self) -> Running:
        self.is_used = True
        return self.fleet.container(self.native)

    def _execute(
        self, argv: Sequence[str], cwd: str, env: Mapping[str, str], timeout_seconds: float | None
    ) -> docker.Ended:
        return docker.execute(self._running().container, argv, cwd=cwd, env=env, timeout_seconds=timeout_seconds)

    def _job(self) -> Job:
        assert self.job is not None
        return self.job

    def _environment(self, names: Sequence[str], extra: Mapping[str, str]) -> dict[str, str]:
        """What rules let through and the settings pass on, but for paths that the container does not have."""
        asked = (*(name for name in tools.BASE_ENVIRONMENT if name not in NOT_INSIDE), *names)
        found = {name: value for name in asked if (value := os.environ.get(name)) is not None and self._has(value)}
        passed = {name: os.environ[name] for name in self.wanted.pass_environment if name in os.environ}
        fixed = {"HOME": HOME, "USER": "lambdabuild", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
        return found | fixed | dict(self.wanted.environment) | passed | dict(extra)

    def _has(self, value: str) -> bool:
        if not os.path.isabs(value):
            return True
        site = self.fleet.site
        inside = [*_inputs(site), site.state_dir, site.cache_dir, *(target for _, target, _ in _brought(self.wanted))]
        return any(value == folder or value.startswith(folder.rstrip("/") + os.sep) for folder in inside)


def _send(container: Container, job: Job) -> None:
    """What a step has so far: its folders, and what the steps before it left."""
    with tempfile.TemporaryFile() as stream:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            earlier = [part for result in job.earlier.values() for part in result.parts]
            for path in (job.scratch, job.out, job.cache, *(part.path for part in earlier)):
                if path and os.path.exists(path):
                    archive.add(path, path.lstrip("/"), filter=_mine)
        stream.seek(0)
        docker.put(container, stream)


def _fetch(container: Container, job: Job) -> None:
    """What a tool left in a step's folders takes the place of what was there."""
    for path in filter(None, (job.scratch, job.out, job.cache)):
        with tempfile.TemporaryFile() as stream:
            if not docker.get(container, path, stream.write):
                continue
            stream.seek(0)
            _replace(path, stream)


def _replace(path: str, stream: IO[bytes]) -> None:
    parent = os.path.dirname(path)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".fetched-", ignore_cleanup_errors=True) as beside:
        with tarfile.open(fileobj=stream) as archive:
            archive.extractall(beside, filter="tar")
        if os.path.isdir(path):
            os.rename(path, os.path.join(beside, ".old"))
        os.rename(os.path.join(beside, os.path.basename(path)), path)
