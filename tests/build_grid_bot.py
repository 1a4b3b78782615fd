"""A worker of BuildGrid: takes a lease, runs its command in a folder of its own, gives back what it left.

    python build_grid_bot.py 127.0.0.1:50051 INSTANCE

No wheel has buildbox-worker. BuildGrid's own Python runs this one, for the messages and the way to its CAS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2.remote_execution_pb2 import Action, ActionResult, Command
from buildgrid._protos.google.devtools.remoteworkers.v1test2 import bots_pb2, bots_pb2_grpc
from buildgrid._protos.google.rpc import code_pb2
from buildgrid.server.client.cas import download, upload
from buildgrid.server.exceptions import NotFoundError

POLL_SECONDS = 5
"""How long BuildGrid may keep a question for work; below 3.75 it would answer at once."""
HEARTBEAT_SECONDS = 0.3
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
PATIENCE = {"retries": 20, "max_backoff": 1}
"""What was made is not lost because the server is being started anew."""
Status = tuple[int, str]


class Bot:
    """One worker, which runs one action at a time."""

    def __init__(self, channel: grpc.Channel, instance: str) -> None:
        self.channel, self.instance = channel, instance
        self.bots = bots_pb2_grpc.BotsStub(channel)

    def work(self) -> None:
        """Take leases for as long as the session lives. Raises grpc.RpcError when it is over."""
        session = bots_pb2.BotSession(bot_id=str(uuid.uuid4()), status=bots_pb2.OK)
        request = bots_pb2.CreateBotSessionRequest(parent=self.instance, bot_session=session)
        session = self.bots.CreateBotSession(request, timeout=POLL_SECONDS, wait_for_ready=True)
        while True:
            session = self._finished(session) if session.leases else self._updated(session)

    def _updated(self, session: bots_pb2.BotSession) -> bots_pb2.BotSession:
        """What BuildGrid makes of the session; one that is being started anew is waited for."""
        request = bots_pb2.UpdateBotSessionRequest(name=session.name, bot_session=session)
        while True:
            try:
                return self.bots.UpdateBotSession(request, timeout=POLL_SECONDS, wait_for_ready=True)
            except grpc.RpcError as error:
                if error.code() not in AWAY:
                    raise
                time.sleep(HEARTBEAT_SECONDS)

    def _finished(self, session: bots_pb2.BotSession) -> bots_pb2.BotSession:
        """Run the session's lease; one that BuildGrid takes back is cancelled."""
        action = Action()
        session.leases[0].payload.Unpack(action)
        cancelled = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._executed, action, cancelled)
            try:
                while not running.done():
                    time.sleep(HEARTBEAT_SECONDS)
                    session = self._updated(session)
                    if not session.leases:
                        return session
            finally:
                cancelled.set()
            result, (code, message) = running.result()
        lease = session.leases[0]
        lease.state = bots_pb2.COMPLETED
        lease.status.code, lease.status.message = code, message
        lease.result.Pack(result)
        return self._updated(session)

    def _executed(self, action: Action, cancelled: threading.Event) -> tuple[ActionResult, Status]:
        try:
            with tempfile.TemporaryDirectory() as folder:
                return self._executed_in(Path(folder), action, cancelled)
        except NotFoundError as error:
            return ActionResult(), (code_pb2.FAILED_PRECONDITION, str(error))
        except Exception as error:  # whatever it is, the worker lives on and BuildGrid is told
            return ActionResult(), (code_pb2.INTERNAL, repr(error))

    def _executed_in(self, folder: Path, action: Action, cancelled: threading.Event) -> tuple[ActionResult, Status]:
        command = Command()
        with download(self.channel, self.instance, **PATIENCE) as source:
            command.ParseFromString(source.get_blob(action.command_digest) or b"")
            source.download_directory(action.input_root_digest, str(folder))
        here = folder / command.working_directory
        for path in command.output_paths:
            (here / path).parent.mkdir(parents=True, exist_ok=True)
        seconds = action.timeout.seconds or float("inf")
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = ended(command, here, out.fileno(), err.fileno(), seconds, cancelled)
            if status is None:
                return ActionResult(), (code_pb2.DEADLINE_EXCEEDED, f"it took longer than {seconds} s")
            out.seek(0)
            err.seek(0)
            return self._left(command, here, status, out.read(), err.read()), (code_pb2.OK, "")

    def _left(self, command: Command, here: Path, status: int, out: bytes, err: bytes) -> ActionResult:
        result = ActionResult(exit_code=status)
        with upload(self.channel, self.instance, **PATIENCE) as target:
            result.stdout_digest.CopyFrom(target.put_blob(BytesIO(out)))
            result.stderr_digest.CopyFrom(target.put_blob(BytesIO(err)))
            for path in command.output_paths:
                if (here / path).is_dir():
                    result.output_directories.add(path=path, tree_digest=target.upload_tree(str(here / path)))
                elif (here / path).is_file():
                    executable = os.access(here / path, os.X_OK)
                    digest = target.upload_file(str(here / path), queue=False)
                    result.output_files.add(path=path, digest=digest, is_executable=executable)
        return result


def ended(command: Command, here: Path, out: int, err: int, seconds: float, cancelled: threading.Event) -> int | None:
    """A command's exit code; None when its time was over or nobody waits for it any more."""
    environment = {variable.name: variable.value for variable in command.environment_variables}
    process = subprocess.Popen(
        list(command.arguments), cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + seconds
    try:
        while process.poll() is None and time.monotonic() < until and not cancelled.wait(0.02):
            pass
        return process.poll()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main(address: str, instance: str) -> None:
    with grpc.insecure_channel(address) as channel:
        bot = Bot(channel, instance)
        while True:
            try:
                bot.work()
            except grpc.RpcError as error:
                print(error, file=sys.stderr, flush=True)
                time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
