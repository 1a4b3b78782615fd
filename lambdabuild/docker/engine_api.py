"""The Docker engine: containers, programs in them, archives in and out. Nothing here knows a project.

Every error of the engine comes out as one of ours.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeAlias
from urllib.parse import urlsplit

from lambdabuild.core.errors import ContainerFailed, ImageFailed, NoEngine, ToolTimeout
from lambdabuild.core.records import Struct

ApiClient: TypeAlias = Any
"""docker's ``APIClient``: the package ships no types."""
ANSWER_SECONDS = 120
"""How long the engine may take to answer; it may take longer to pull, to build and to run."""
LOCAL = ("unix", "npipe", "http+unix", "")
"""Schemes of an engine that may see this machine's files."""
NO_SPACE = "no space left on device"
NO_SHARE = ("bind source path does not exist", "mounts denied", "is not shared from")
"""Messages of engines about a folder that they do not see; the second and third are Docker Desktop's."""
TAIL_LINES = 25
MARK = "LAMBDABUILD_TOOL"
"""A variable that a program and its children have, by which they are found when they must end. A shell around them
would show that too, but it drops variables such as Bundler's, whose names contain addresses."""
FRAME, STDERR = struct.Struct(">BxxxL"), 2
"""The header of a piece of a program's output, and the number of its standard error."""
IDLE = "cat"
"""Runs until its standard input ends, which happens when this process does, however that ends."""


class Engine(Struct, frozen=True):
    """An engine that has answered."""

    client: Any
    host: str
    options: tuple[str, ...]
    """The engine's ``SecurityOptions``: ``name=rootless``, ``name=userns``."""

    @property
    def api(self) -> ApiClient:
        return self.client.api

    @property
    def may_share(self) -> bool:
        """Return whether folders of this machine can be mounted with the same owners."""
        return urlsplit(self.host).scheme in LOCAL and not self.has("userns")

    def has(self, option: str) -> bool:
        return any(text.split(",")[0] == f"name={option}" for text in self.options)

    @property
    def user(self) -> str:
        """Return the user that tools run as, so that the caller owns their output (a rootless engine: root)."""
        return "0:0" if self.has("rootless") else f"{os.getuid()}:{os.getgid()}"


class Spec(Struct, frozen=True):
    """A container to be started. ``mounts`` are (source, target, is read-only)."""

    image: str
    platform: str
    labels: Mapping[str, str]
    name: str = ""
    network: str = ""
    mounts: tuple[tuple[str, str, bool], ...] = ()


class Container(Struct):
    """A running container. It ends when ``stdin`` is closed."""

    engine: Engine
    id: str
    stdin: Any
    ended: bool = False


class Ended(Struct, frozen=True):
    """How a program ended."""

    status: int
    stdout: str
    stderr: str
    in_time: bool = True


class NoShare(Exception):
    """The engine does not see a folder of this machine."""


def connect() -> Engine:
    """Return the engine that DOCKER_HOST, else Docker's current context, names. Raises NoEngine (LB801)."""
    import docker

    host = os.environ.get("DOCKER_HOST", "")
    try:
        client = docker.from_env(timeout=ANSWER_SECONDS, use_ssh_client=True)
        host = host or client.api.base_url.replace("http+docker://localhost", "unix:")
        return Engine(client, host, tuple(client.info().get("SecurityOptions") or ()))
    except (docker.errors.DockerException, OSError) as error:
        refused = "Permission denied" in str(error)
        raise NoEngine(
            f"no Docker engine answers at {host or 'its usual place'}",
            tail=message_of(error),
            help="become a member of the group that may use its socket (docker)"
            if refused
            else "start one, or say where it is with DOCKER_HOST",
        ) from error


def start(engine: Engine, spec: Spec) -> Container:
    """Start a container that does nothing until programs are run in it.

    Raises ContainerFailed (LB804); NoShare when the engine does not see a folder that is to be mounted.
    """
    import docker
    from docker.types import Mount

    mounts = [Mount(target, source, "bind", read_only=ro) for source, target, ro in spec.mounts]
    options = engine.api.create_host_config(
        auto_remove=True, network_mode=spec.network or None, mounts=mounts, security_opt=["label=disable"]
    )
    with answers(engine, "start a container"):
        try:
            made = engine.api.create_container(
                spec.image, entrypoint=[IDLE], command=[], stdin_open=True, labels=dict(spec.labels), user="0:0",
                host_config=options, name=spec.name or None, working_dir="/", platform=spec.platform or None,
            )["Id"]  # fmt: skip
            stdin = engine.api.attach_socket(made, params={"stdin": 1, "stream": 1})
            engine.api.start(made)
        except docker.errors.APIError as error:
            if any(words in str(error) for words in NO_SHARE):
                raise NoShare(str(error)) from error
            raise _not_started(spec, str(error.explanation or error)) from error
    return Container(engine, made, stdin)


def _not_started(spec: Spec, output: str) -> ContainerFailed:
    if "is already in use" in output:
        help = "end the container of that name, or choose another: name in [container]"
    elif "exec format error" in output:
        help = f"this machine cannot run {spec.platform}: install an emulator (qemu-user-static), or build elsewhere"
    elif NO_SPACE in output:
        help = "make room on the engine's disk: docker system prune"
    else:
        help = "see that the image has a shell, and what [container] says of the network and mounts"
    return ContainerFailed("a container cannot be started", tail=output, help=help)


def execute(
    container: Container, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], timeout_seconds: float | None,
    user: str = "",
) -> Ended:  # fmt: skip
    """Run a program in a container to its end. Raises ContainerFailed (LB804) when that or the engine ended before."""
    engine, mark = container.engine, os.urandom(12).hex()
    api = engine.api
    with answers(engine, f"run {os.path.basename(argv[0])} in a container", container):
        made = api.exec_create(
            container.id, list(argv), workdir=cwd, environment={**env, MARK: mark}, user=user or engine.user
        )["Id"]
        is_late = threading.Event()
        late = threading.Timer(timeout_seconds or 0, _end_late, [container, mark, is_late])
        late.daemon = True
        if timeout_seconds:
            late.start()
        stdout, stderr = bytearray(), bytearray()
        try:
            for kind, data in _said(api, made):
                (stderr if kind == STDERR else stdout).extend(data)
        finally:
            late.cancel()
        in_time = not is_late.is_set()
        status = api.exec_inspect(made)["ExitCode"]
        if status is None or (status == 137 and in_time and not _is_running(container)):
            raise _ended(container, os.path.basename(argv[0]))
    output, errors = (part.decode("utf-8", errors="replace") for part in (stdout, stderr))
    return Ended(status, output, errors, in_time)


def _said(api: Any, exec_id: str) -> Iterator[tuple[int, bytes]]:
    """Yield a program's output in pieces: https://docs.docker.com/reference/api/engine/, "stream format".

    The SDK reads from the socket itself, and so loses what came together with the header of the answer and is in the
    buffer above it; on slow networks they arrive together.
    """
    socket = api.exec_start(exec_id, socket=True)
    api._disable_socket_timeout(socket)
    buffered = socket._response.raw._fp.fp
    try:
        while len(head := buffered.read(FRAME.size)) == FRAME.size:
            kind, size = FRAME.unpack(head)
            yield kind, buffered.read(size)
    finally:
        socket._response.close()


def _is_running(container: Container) -> bool:
    import docker

    try:
        return bool(container.engine.api.inspect_container(container.id)["State"]["Running"])
    except docker.errors.NotFound:
        return False


def _ended(container: Container, program: str) -> ContainerFailed:
    return ContainerFailed(
        f"the container in which {program} ran was ended from outside",
        help="run again; what was built before is kept",
    )


def _end_late(container: Container, mark: str, is_late: threading.Event) -> None:
    """End a program and its children: all that have its mark. Only their own user may look at that."""
    import docker

    is_late.set()
    engine = container.engine
    script = 'for p in /proc/[0-9]*; do grep -q "$0" "$p/environ" && kill -KILL "${p#/proc/}"; done'
    try:
        made = engine.api.exec_create(container.id, ["sh", "-c", script, mark], user=engine.user)
        engine.api.exec_start(made["Id"])
    except (docker.errors.DockerException, OSError):
        pass  # gone already


def put(container: Container, tar: IO[bytes]) -> None:
    """Unpack a tar of whole paths in a container."""
    with answers(container.engine, "send files into a container", container):
        container.engine.api.put_archive(container.id, "/", tar)


def get(container: Container, path: str, write: Callable[[bytes], object]) -> bool:
    """A folder of a container as a tar, written piece by piece; False when there is none."""
    import docker

    with answers(container.engine, "fetch files from a container", container):
        try:
            pieces, _ = container.engine.api.get_archive(container.id, path)
        except docker.errors.NotFound:
            return False
        for piece in pieces:
            write(piece)
    return True


def remove(container: Container) -> None:
    """End a container; it is gone afterwards. Says nothing when it or the engine is gone already."""
    container.ended = True
    _remove(container.engine, container.id)
    try:
        container.stdin.close()
    except OSError:
        pass


def strays(engine: Engine, labels: Mapping[str, str], ours: str) -> list[str]:
    """Return the ids of all containers with these labels but for those whose label ``lambdabuild.run`` is ours."""
    wanted = [f"{name}={value}" for name, value in labels.items()]
    with answers(engine, "look for containers"):
        containers = engine.api.containers(all=True, filters={"label": wanted})
    return [item["Id"] for item in containers if item["Labels"].get("lambdabuild.run") != ours]


def remove_stray(engine: Engine, container: str) -> None:
    _remove(engine, container)


def _remove(engine: Engine, container: str) -> None:
    import docker

    try:
        engine.api.remove_container(container, force=True)
    except (docker.errors.DockerException, OSError):
        pass  # gone, or going: a removal is in progress


class Refused(Exception):
    """The engine refused a request. ``status`` is HTTP's, ``lines`` the output up to then."""

    def __init__(self, words: str, status: int = 0, lines: tuple[str, ...] = ()) -> None:
        super().__init__(words)
        self.words, self.status, self.lines = " ".join(words.split()), status, lines


@contextmanager
def client(timeout_seconds: float | None = None) -> Iterator[Any]:
    """Yield the low-level client, for modules that build and push images.

    Raises NoEngine (LB801) when the engine does not answer, or is gone before the end, ToolTimeout (LB503) when it is
    silent for longer than it may, ImageFailed (LB803) for what it refuses and nobody expected.
    """
    import requests
    import urllib3

    api = connect().api
    api.timeout = timeout_seconds
    try:
        with refusals():
            yield api
    except Refused as refused:
        help = "make room on the engine's disk: docker system prune" if NO_SPACE in refused.words else ""
        raise ImageFailed(f"the Docker engine refused: {refused.words}", help=help) from refused
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise ToolTimeout(
            f"the Docker engine said nothing for {timeout_seconds:g} s", help="raise tool_timeout_seconds"
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise NoEngine(
            "the Docker engine went away",
            tail=message_of(error),
            help="start it and run again; what is finished is kept",
        ) from error
    finally:
        api.close()


@contextmanager
def refusals() -> Iterator[None]:
    """Turn errors of the engine in this block into Refused."""
    import docker

    try:
        yield
    except docker.errors.APIError as error:
        raise Refused(str(error.explanation or error), error.status_code or 0) from error
    except docker.errors.DockerException as error:
        raise Refused(str(error)) from error


@contextmanager
def answers(engine: Engine, what: str, container: Container | None = None) -> Iterator[None]:
    """Whatever goes wrong with the engine as ContainerFailed (LB804)."""
    import docker
    import requests
    import urllib3
    from docker.utils.socket import SocketError

    try:
        yield
    except docker.errors.NotFound as error:
        if container is None:
            raise _refused(what, error) from error
        raise _ended(container, "a tool") from error
    except docker.errors.APIError as error:
        if container is not None and "is not running" in str(error):
            raise _ended(container, "a tool") from error
        raise _refused(what, error) from error
    except (
        docker.errors.DockerException, SocketError, requests.RequestException,
        urllib3.exceptions.HTTPError, ConnectionError,
    ) as error:  # fmt: skip
        raise ContainerFailed(
            f"the Docker engine at {engine.host} went away, so that it could not {what}",
            tail=message_of(error),
            help="start it and run again; what was built before is kept",
        ) from error


def _refused(what: str, error: Any) -> ContainerFailed:
    explanation = str(error.explanation or error)
    help = "make room on the engine's disk: docker system prune" if NO_SPACE in explanation else ""
    return ContainerFailed(f"the Docker engine could not {what}", tail=explanation, help=help)


def message_of(error: BaseException) -> str:
    """Return an error's message without the names of the classes that wrap it."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__  # type: ignore[assignment]  # one of them is there
    return str(inner) if str(inner) else str(error)
