"""The containers of one run: started when a tool is first to run in one, shared by all steps, gone when the run ends.

A rule's step knows nothing of it: it is given a ``Runner``. With an engine that sees this machine's files the folders
are mounted under their own paths; else they are sent before a tool runs and fetched after it.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterable, Mapping

from lambdabuild.config.settings import Container as Wanted
from lambdabuild.core.errors import BadSettings, LambdaBuildError, NoEngine
from lambdabuild.core.records import Struct, field, replace
from lambdabuild.docker import engine_api, images
from lambdabuild.docker.engine_api import Container, Engine
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.containers import context, files
from lambdabuild.plan.types import ContainerKey

PROJECT, RUN, DOCKERFILE = "lambdabuild.project", "lambdabuild.run", "lambdabuild.dockerfile"
"""Labels: whose container, of which run; what an image was built from."""


class Running(Struct):
    """A container in which tools run."""

    container: Container
    shares: bool
    """True if folders are mounted."""
    programs: dict[str, str | None] = field(default_factory=dict)


class ContainerPool:
    """All containers of one run, one for each ``ContainerKey``."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lock = threading.Lock()
        self.turns: dict[ContainerKey, threading.Lock] = {}
        self.running: dict[ContainerKey, Running] = {}
        self.images: dict[ContainerKey, str] = {}
        self.answers: dict[str, str] = {}
        """What the engine said about images that earlier runs used."""
        self.connected: Engine | None = None

    def engine(self) -> Engine:
        with self.lock:
            if self.connected is None:
                self.connected = engine_api.connect()
            return self.connected

    def image(self, key: ContainerKey) -> str:
        """The id of the image, pulled or built when it has to be."""
        with self._turn(key):
            if key not in self.images:
                self.images[key] = self._image(key)
            return self.images[key]

    def _image(self, key: ContainerKey) -> str:
        engine, wanted = self.engine(), self._wanted(key)
        if not key.dockerfile:
            pull = "never" if self.run.project.settings.offline else wanted.pull
            return images.get_image(engine, key.image, key.platform, pull)
        sent = context.context(self.run, key.dockerfile)
        with tempfile.TemporaryFile() as stream:
            context.write_context(stream, sent)
            label = f"{DOCKERFILE}={context.dockerfile_digest(self.run, key.dockerfile)} {key.platform}"
            return images.built_image(
                engine, label, stream, sent.dockerfile_inside, key.platform, wanted.network, key.dockerfile
            )

    def container(self, key: ContainerKey) -> Running:
        """The running container, started when it is the first time."""
        image = self.image(key)
        with self._turn(key):
            if key not in self.running:
                if not self.running:
                    sweep(self.run, self.engine())
                self.running[key] = self._started(key, image)
            return self.running[key]

    def _started(self, key: ContainerKey, image: str) -> Running:
        engine, wanted = self.engine(), self._wanted(key)
        labels = {PROJECT: project_label(self.run.project), RUN: run_label(self.run)}
        name = f"{wanted.name}-{len(self.running) + 1}" if wanted.name and self.running else wanted.name
        spec = engine_api.Spec(image, key.platform, labels, name, wanted.network)
        brought = list(files.brought_along(wanted, self.run.opened_with.environment))
        if wanted.transfer == "mount" or (wanted.transfer == "auto" and engine.may_share):
            mounts = (*files.shared_folders(self.run), *brought)
            running = self._sharing(replace(spec, mounts=mounts), wanted.transfer == "mount")
            if running is not None:
                return running
        container = engine_api.start(engine, spec)
        running = Running(container, shares=False)
        files.prepare_folders(container, [target for _, target, _ in brought])
        with tempfile.TemporaryFile() as stream:
            files.write_inputs(stream, self.run, brought)
            engine_api.put(container, stream)
        return running

    def _sharing(self, spec: engine_api.Spec, must: bool) -> Running | None:
        """A container with folders mounted; None when the engine lives where they are others, or are not."""
        with self.run.project.scratch() as scratch:
            try:
                container = engine_api.start(self.engine(), spec)
            except engine_api.NoShare as error:
                if not must:
                    return None
                raise BadSettings(
                    f"the Docker engine does not see this machine's folders: {error}",
                    help='leave transfer out of [container], or set it to "archive"',
                ) from error
            files.prepare_folders(container, [target for _, target, _ in spec.mounts])
            probe = engine_api.execute(container, ["test", "-d", scratch], cwd="/", env={}, timeout_seconds=60)
        if probe.status and not must:
            engine_api.remove(container)
            return None
        return Running(container, shares=True)

    def _wanted(self, key: ContainerKey) -> Wanted:
        """The settings of a container; all that share it have the same."""
        plan = self.run.index.plan
        named = [(one.name, one.key.container) for one in plan.builds]
        named += [(one.users[0], one.key.container) for one in plan.resolutions]
        return self.run.project.settings.container_of(next(name for name, its in named if its == key))

    def _turn(self, key: ContainerKey) -> threading.Lock:
        with self.lock:
            return self.turns.setdefault(key, threading.Lock())

    def close(self) -> None:
        """End all containers."""
        for running in list(self.running.values()):
            engine_api.remove(running.container)
        self.running.clear()


def pool(run: Run) -> ContainerPool:
    """The run's containers; none is started yet."""
    return run.containers.get(lambda: ContainerPool(run))


def close(run: Run) -> None:
    """End what the run has started."""
    if run.containers.is_made:
        pool(run).close()


def sweep(run: Run, engine: Engine | None = None) -> None:
    """Remove containers that an earlier run in this project could not."""
    connected = engine or pool(run).engine()
    for stray in engine_api.strays(connected, {PROJECT: project_label(run.project)}, run_label(run)):
        engine_api.remove_stray(connected, stray)


def sweep_if_there(run: Run) -> None:
    """The same for ``doit clean``, which has nothing to do where there is no engine. Once a run."""
    modes = {build.key.container.mode for build in run.index.plan.builds}
    modes |= {resolution.key.container.mode for resolution in run.index.plan.resolutions}
    if modes <= {""} or run.progress.is_swept:
        return
    run.progress.is_swept = True
    try:
        sweep(run)
    except LambdaBuildError:
        pass


def project_label(project: Project) -> str:
    """Names a project on an engine that others use too."""
    return f"{socket.gethostname()}:{project.folder}"


def run_label(run: Run) -> str:
    return f"{run.process}-{run.opened_with.opened_ns}"


# images as inputs of a step


def key_of(key: ContainerKey) -> str:
    """How a step's record names the image that its tools ran in."""
    return f"dockerfile:{key.dockerfile}" if key.dockerfile else f"image:{key.image}"


def used(run: Run, key: ContainerKey) -> dict[str, str]:
    """The image, as a step that has just run in it records it."""
    if key.dockerfile:
        return {key_of(key): context.dockerfile_digest(run, key.dockerfile)}
    return {key_of(key): pool(run).image(key)}


def now(run: Run, recorded: Mapping[str, str]) -> dict[str, str]:
    """The images that a step's last run used, as they are now.

    An image that is gone, or an engine that does not answer, is no reason to build anew: as it was counts.
    """
    return {key: _now(run, key, old) for key, old in recorded.items()}


def _now(run: Run, key: str, old: str) -> str:
    kind, _, name = key.partition(":")
    if kind == "dockerfile":
        return context.dockerfile_digest(run, name)
    answers = pool(run).answers
    if key not in answers:
        try:
            answers[key] = images.find_image(pool(run).engine(), name)
        except NoEngine:
            answers[key] = ""
    return answers[key] or old


def must_ask(recorded: Iterable[str]) -> bool:
    """Return whether only the engine knows what an image is now; a name with a digest says it itself."""
    return any(key.startswith("image:") and "@sha256:" not in key for key in recorded)
