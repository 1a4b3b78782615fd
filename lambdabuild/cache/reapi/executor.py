"""Run a command on an engine of the Remote Execution API v2: its input tree goes there, what it leaves comes back.

BuildBarn, BuildBuddy, NativeLink, BuildGrid and buildbox-casd are such engines. What is lost on the way (a worker that
died, a server that was started anew) is asked for again; only when that does not help either is it an error.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache.cache import Digest, File, Link, Node
from lambdabuild.cache.reapi import directories
from lambdabuild.cache.reapi.channel import SPEC, Refused
from lambdabuild.cache.reapi.directories import Blobs, message
from lambdabuild.cache.reapi.reapi_cache import ReapiCache
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed, ExecutorFailed, NoExecutor, ToolTimeout
from lambdabuild.core.records import Struct, field

PAUSES = (0.2, 0.5, 1, 2, 4, 8)
"""Seconds before each new try; together longer than an engine needs to be started anew."""
DEATHS = 3
"""How many times a worker may end without an answer."""
LOST = frozenset({"UNAVAILABLE", "ABORTED", "INTERNAL", "UNKNOWN", "CANCELLED", "RESOURCE_EXHAUSTED", "DATA_LOSS"})
"""Statuses of gRPC that a retry may cure."""
CODES = {
    0: "OK", 1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND",
    7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 12: "UNIMPLEMENTED",
    13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS",
}  # fmt: skip
"""grpc.io/docs/guides/status-codes; FAILED_PRECONDITION is an input that the engine does not have any more."""
CANCEL_SECONDS, PATIENCE_SECONDS = 2, 15
QUEUED = 2
"""ExecutionStage.Value"""
SMALL_BYTES = 100_000
"""Largest blob that is fetched together with others in one message, in bytes."""


class Command(Struct, frozen=True):
    """A command, run in the root of its input tree with this environment and no other."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    """Folders that it may leave."""
    timeout_seconds: float | None = None
    may_be_known: bool = True
    """True if the result of an earlier run may be used instead."""


class Ran(Struct, frozen=True):
    """How a command ended, and the files that it left."""

    status: int
    stdout: bytes
    stderr: bytes
    files: Mapping[str, Node]
    is_known: bool = False
    """It was run before, and the engine still knew."""


class _Lost(Exception):
    """A failure that a retry may cure."""


class Executor:
    """One engine with the platform that its workers must have. May be used by several threads."""

    def __init__(
        self,
        connection: Connection,
        platform: Mapping[str, str],
        tell: Callable[[str], object] = lambda _: None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.cache = ReapiCache(connection)
        self._tell, self._patience_seconds = tell, patience_seconds
        self.platform = api.Platform(
            properties=[api.Property(name=name, value=platform[name]) for name in sorted(platform)]
        )
        self._channel = self.cache.server.channel
        self._sent: set[Digest] = set()
        self._calls: set[Any] = set()
        self._operations: set[str] = set()
        self._closed = threading.Event()

    @property
    def name(self) -> str:
        return self.cache.name

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def refuse_unable(self) -> None:
        """Raises NoExecutor (LB640) when there is no engine at the address."""
        request = api.GetCapabilitiesRequest(instance_name=self._channel.instance)
        try:
            capabilities = self._channel.ask(
                f"{SPEC}Capabilities/GetCapabilities",
                request,
                api.ServerCapabilities,
                self.cache.server.connection.timeout_seconds,
            )
        except Refused as error:
            raise self._refused(error) from error
        if not capabilities.execution_capabilities.exec_enabled:
            raise NoExecutor(f"{self.name} runs nothing", help="give executor the address of an execution service")

    def run(self, command: Command, inputs: Mapping[str, Node], is_broken: Callable[[Ran], bool]) -> Ran:
        """Run a command on a tree of files; ``is_broken`` tells an end that is the worker's fault.

        Raises NoExecutor (LB640) when the engine cannot be reached, ExecutorFailed (LB641) when it gives up on the
        action, ToolTimeout (LB503).
        """
        root, blobs = directories.tree(inputs)
        action = _action(command, self.platform, root, blobs)
        why, broken = "", 0
        for attempt, pause in enumerate((0.0, *PAUSES)):
            if self._closed.wait(pause):
                break
            try:
                self._send(blobs)
                ran = _ran(self.cache, command, self._execute(action, is_anew=attempt > 0 or not command.may_be_known))
                if not is_broken(ran):
                    return ran
                broken += 1
                why = f"the worker ended with {ran.status}: {ran.stderr.decode(errors='replace').strip()[-300:]}"
                if broken == DEATHS:
                    break
            except _Lost as lost:
                why = str(lost)
                self._sent.clear()
        if self.is_closed:
            raise ExecutorFailed("the run was interrupted")
        raise ExecutorFailed(
            f"{self.name} could not run it in {attempt + 1} tries: {why}",
            help="check executor.platform and what the workers have: python3 of 3.11 or newer, and the rule's tools",
        )

    def write(self, files: Mapping[str, Node], folder: str) -> None:
        """Put files that a command left into a folder. Raises ExecutorFailed for what is gone or broken."""
        try:
            small = {
                node.digest for node in files.values() if isinstance(node, File) and node.digest.size <= SMALL_BYTES
            }
            content = dict(self.cache.fetch_many(sorted(small)))
            for path, node in files.items():
                target = os.path.join(folder, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                if isinstance(node, Link):
                    os.symlink(node.target, target)
                elif not _is_written(self.cache, node, content.get(node.digest), target):
                    raise ExecutorFailed(f"{self.name} does not have {path} as it was made", help="run the build again")
        except CacheFailed as error:
            raise NoExecutor(_why(error), help=error.help) from error
        except ValueError as error:
            raise ExecutorFailed(f"{self.name} sent broken bytes: {error}", help="run the build again") from error

    def close(self) -> None:
        """Cancel what still runs."""
        self._closed.set()
        for call in list(self._calls):
            call.cancel()
        for name in list(self._operations):
            try:
                request = api.CancelOperationRequest(name=name)
                self._channel.ask("/google.longrunning.Operations/CancelOperation", request, api.Empty, CANCEL_SECONDS)
            except Refused:
                pass  # it has ended, or the engine cancels what nobody listens to

    def _send(self, blobs: Blobs) -> None:
        """Send the blobs that the engine does not have yet."""
        try:
            missing = self.cache.missing([digest for digest in blobs if digest not in self._sent])
            self.cache.put_sources([(digest, blobs[digest]) for digest in sorted(missing)])
        except CacheFailed as error:
            raise _Lost(_why(error)) from error
        self._sent |= blobs.keys()

    def _execute(self, action: Digest, *, is_anew: bool) -> api.ExecuteResponse:
        """Return what the engine says of an action.

        A stream that broke is taken up again, as long as the engine knows the operation.
        """
        request: Any = api.ExecuteRequest(
            instance_name=self._channel.instance,
            action_digest=message(action),
            skip_cache_lookup=is_anew,
            digest_function=api.SHA256,
            inline_stdout=True,
            inline_stderr=True,
        )
        method, name = "Execution/Execute", ""
        queue = _Queue(lambda: self._tell(f"waiting for a worker of {self.name}"), self._patience_seconds)
        try:
            for pause in PAUSES:
                try:
                    for operation in self._channel.listen(f"{SPEC}{method}", request, api.Operation, None, self._calls):
                        name = operation.name or name
                        self._operations.add(name)
                        queue.heard(operation)
                        if operation.done:
                            return _response(operation)
                    lost = "it ended without an answer"
                except Refused as error:
                    if error.code in ("FAILED_PRECONDITION", "NOT_FOUND"):
                        raise _Lost(str(error)) from error
                    if error.code not in LOST:
                        raise self._refused(error) from error
                    lost = str(error)
                if not name:
                    break
                method, request = "Execution/WaitExecution", api.WaitExecutionRequest(name=name)
                if self._closed.wait(pause):
                    break
            raise _Lost(lost)
        finally:
            queue.close()
            self._operations.discard(name)

    def _refused(self, error: Refused) -> NoExecutor:
        return NoExecutor(
            f"the executor {self.name} cannot be used: {error}",
            help="check its address, executor.headers and executor.platform",
        )


def _action(command: Command, platform: api.Platform, root: Digest, blobs: Blobs) -> Digest:
    """Return the digest of the action, which is added to the blobs with its command."""
    properties = [api.Property(name=name, value=command.environment[name]) for name in sorted(command.environment)]
    message_of_command = api.Command(
        arguments=command.arguments,
        environment_variables=properties,
        platform=platform,
        output_paths=sorted(command.outputs),
        output_directories=sorted(command.outputs),
    )
    content = message_of_command.SerializeToString(deterministic=True)
    blobs[Digest.of(content)] = content
    seconds = int(command.timeout_seconds or 0)
    action = api.Action(
        command_digest=message(Digest.of(content)),
        input_root_digest=message(root),
        platform=platform,
        do_not_cache=not command.may_be_known,
        timeout=api.Duration(seconds=seconds) if seconds else None,
    )
    content = action.SerializeToString(deterministic=True)
    blobs[Digest.of(content)] = content
    return Digest.of(content)


def _ran(cache: ReapiCache, command: Command, response: api.ExecuteResponse) -> Ran:
    code = CODES.get(response.status.code, str(response.status.code))
    if code == "DEADLINE_EXCEEDED":
        raise ToolTimeout(
            f"it took longer than {command.timeout_seconds or 0:g} s on {cache.name} and was stopped",
            help="raise tool_timeout_seconds, or look at what the tool waits for",
        )
    if code in ("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNIMPLEMENTED"):
        raise ExecutorFailed(
            f"{cache.name} refuses the action: {response.status.message}", help="check executor.platform"
        )
    if code != "OK":
        raise _Lost(f"{code}, {response.status.message}")
    result = response.result
    return Ran(
        result.exit_code,
        _text(cache, result.stdout_raw, result.stdout_digest),
        _text(cache, result.stderr_raw, result.stderr_digest),
        dict(_left(cache, result)),
        response.cached_result,
    )


def _text(cache: ReapiCache, raw: bytes, digest: api.Digest) -> bytes:
    return raw if raw or not digest.size_bytes else _blob(cache, digest)


def _left(cache: ReapiCache, result: api.ActionResult) -> Iterator[tuple[str, Node]]:
    for file in result.output_files:
        yield file.path, File(Digest(file.digest.hash, file.digest.size_bytes), file.is_executable)
    for folder in result.output_directories:
        try:
            for path, node in directories.files_of(_blob(cache, folder.tree_digest)).items():
                yield f"{folder.path}/{path}", node
        except ValueError as error:
            raise _Lost(str(error)) from error


def _blob(cache: ReapiCache, digest: api.Digest) -> bytes:
    wanted = Digest(digest.hash, digest.size_bytes)
    try:
        content = dict(cache.fetch_many([wanted])).get(wanted)
    except (CacheFailed, ValueError) as error:
        raise _Lost(_why(error)) from error
    if content is None or Digest.of(content) != wanted:
        raise _Lost(f"a result is gone: {digest.hash}")
    return content


def _is_written(cache: ReapiCache, file: File, content: bytes | None, target: str) -> bool:
    """Write a file, and return whether its bytes are those that were announced."""
    with open(target, "xb") as stream:
        if content is not None:
            stream.write(content)
        elif file.digest.size > SMALL_BYTES:
            cache.fetch(file.digest, stream.write)
        os.fchmod(stream.fileno(), 0o755 if file.executable else 0o644)
    return Digest.of_file(target) == file.digest


class _Queue:
    """Tells when an action has waited for a worker for long; engines wait as long as there is none."""

    def __init__(self, tell: Callable[[], object], patience_seconds: float) -> None:
        self._tell, self._stage = tell, 0
        self._timer = threading.Timer(patience_seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def heard(self, operation: api.Operation) -> None:
        self._stage = api.ExecuteOperationMetadata.FromString(operation.metadata.value).stage

    def close(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._stage == QUEUED:
            self._tell()


def _why(error: Exception) -> str:
    """Return the server's own message."""
    return str(error.__cause__ or error)


def _response(operation: api.Operation) -> api.ExecuteResponse:
    if operation.error.code:
        raise _Lost(f"{CODES.get(operation.error.code, operation.error.code)}, {operation.error.message}")
    return api.ExecuteResponse.FromString(operation.response.value)
