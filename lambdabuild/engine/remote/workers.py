"""The engine of a run and its workers: what they have, and what each action needs whatever it does.

A step keeps the inputs and the key that it has on this machine: the tools that count are the workers', who are asked
before the first step of a run that needs them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from lambdabuild.cache.cache import Digest, File, Node
from lambdabuild.cache.remote import Connection
from lambdabuild.core import messages, regular, tools
from lambdabuild.core.errors import ExecutorFailed, NoExecutor
from lambdabuild.core.plain import Json
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project, jobs
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.remote.eligibility import is_wanted, lose, may_go, remote
from lambdabuild.files.listing import Patterns, scan
from lambdabuild.plan.types import Build, StepClaims
from lambdabuild.rulebook import remote_worker
from lambdabuild.rulebook.search import PACKAGE

if TYPE_CHECKING:
    from lambdabuild.cache.reapi.executor import Command, Executor, Ran

USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMMAND = ("/usr/bin/env", "python3", "-m", remote_worker.__name__)
CODE = (
    "__init__",
    "_version",
    "config/__init__",
    "config/tables",
    "core",
    "plan/__init__",
    "plan/types",
    "rule_api",
    "rulebook",
)
"""The modules and packages of lambdabuild that a rule, and what runs it, import."""
DONE = (0, 1)
"""How ``rulebook.remote_worker`` ends when it has an answer."""
ASK_SECONDS = 120


class FallBackToLocal(Exception):  # no error: the step is performed once more, on this machine
    """The executor could not run a step, which people have been told."""


def goes(run: Run, kind: str, name: str) -> bool:
    """Return whether a step is run on the executor: it may, and the workers have its tools; to zip, our own Python's
    kind.
    """
    if not may_go(run, kind, name):
        return False
    try:
        answer = _workers(run, tools_of(run.index, kind, name))
        is_able = kind != "zip" or answer.get("python") == sysconfig.get_config_var("SOABI")
        return is_able and bool(answer) and "missing" not in answer["tools"].values()
    except (NoExecutor, ExecutorFailed) as error:
        lose(run, error)
        return False


def turn(run: Run, kind: str, name: str) -> AbstractContextManager[Any]:
    """Held by a step that works on this machine, when others that only wait for an engine run beside it."""
    if not is_wanted(run.project) or goes(run, kind, name):
        return nullcontext()
    return remote(run).turns.get(lambda: threading.Semaphore(jobs(run.project)))


def executor(run: Run) -> Executor:
    """The engine of this run. Raises NoExecutor (LB640) when there is none at the address."""
    return remote(run).executor.get(lambda: _connected(run))


def _connected(run: Run) -> Executor:
    from lambdabuild.cache.reapi.executor import Executor

    settings, environment = run.project.settings.executor, run.opened_with.environment
    headers = {name: environment[variable] for name, variable in settings.headers.items() if variable in environment}
    files = (_pem(run.project, name) for name in ("ca_file", "client_certificate", "client_key"))
    connection = Connection(settings.address, settings.timeout_seconds, headers, *files)
    engine = Executor(connection, settings.platform, messages.say_once)
    engine.refuse_unable()
    return engine


def _pem(project: Project, name: str) -> str:
    """The path of a file of certificates, "" when none is set. Raises NoExecutor (LB640) when it cannot be read."""
    file: str = getattr(project.settings.executor, name)
    path = project.path(file) if file else ""
    try:
        if path:
            regular.read_bytes(path)
    except OSError as error:
        raise NoExecutor(
            f"cannot read {path}, which executor.{name} names: {error.strerror}", help="correct the path in [executor]"
        ) from error
    return path


def close(run: Run) -> None:
    """Cancel what still runs."""
    if remote(run).executor.is_made:
        executor(run).close()


# what the workers have


def tool_version(run: Run, names: tuple[str, ...], name: str) -> str:
    """The version of a tool as the workers had it when they were last asked; ``names`` are all that a step needs."""
    return str(_workers(run, names)["tools"][name])


def machine(run: Run, kind: str, name: str) -> str:
    """Return the properties of the machine that runs a step that its result may depend on."""
    return str(_workers(run, tools_of(run.index, kind, name))["machine"]) if goes(run, kind, name) else tools.machine()


def tools_of(index: PlanIndex, kind: str, name: str) -> tuple[str, ...]:
    """The tools of a step whose versions count."""
    if kind != "compile":
        return ()
    build = index.builds[name]
    claims = index.rules[build.key.rule].compile or StepClaims()
    return claims.tools_with(build.key.options)


def look(run: Run, kind: str, name: str) -> None:
    """Ask the workers what they have, before the first step of a run that needs it."""
    if not may_go(run, kind, name):
        return
    names = tools_of(run.index, kind, name)
    key = _key(run.project, names)
    with run.locks.of("workers"):
        if key in remote(run).asked or remote(run).is_lost:
            return
        try:
            run.stats.learn(key, _ask(run, names))
            remote(run).asked.add(key)
        except (NoExecutor, ExecutorFailed) as error:
            lose(run, error)


def _workers(run: Run, names: tuple[str, ...]) -> Json:
    """Empty when nobody is to be asked: a stat cache that only notes what is looked at answers no question."""
    answer: Json = run.stats.metadata(_key(run.project, names), lambda: _ask(run, names)) or {}
    return answer


def _key(project: Project, names: tuple[str, ...]) -> str:
    settings = project.settings.executor
    identity = [settings.address, sorted(settings.platform.items()), sorted(settings.environment.items()), names]
    return f"workers {hashlib.sha256(json.dumps(identity).encode()).hexdigest()}"


def _ask(run: Run, names: tuple[str, ...]) -> Json:
    from lambdabuild.cache.reapi.executor import Command

    inputs = {remote_worker.REQUEST: File.of(json.dumps({"ask": names}).encode()), **dict(code(run, ()))}
    asked = Command(COMMAND, usual_environment(run.project), timeout_seconds=ASK_SECONDS, may_be_known=False)
    return answer_of(executor(run).run(asked, inputs, is_broken))


def environment(run: Run, claims: StepClaims, build: Build) -> dict[str, str]:
    """The variables of a step on a worker."""
    given = run.opened_with.environment
    own = {name: given[name] for name in claims.environment_with(build.key.options) if name in given}
    return {**usual_environment(run.project), **own}


def usual_environment(project: Project) -> dict[str, str]:
    always = {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": USUAL_PATH, **always, **project.settings.executor.environment}


# what each action needs


def command(environment: Mapping[str, str], seconds: float | None) -> Command:
    from lambdabuild.cache.reapi.executor import Command

    return Command(COMMAND, environment, (remote_worker.OUT,), seconds)


def code(run: Run, libraries: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    for name in (*CODE, *libraries):
        path = os.path.join(PACKAGE, name)
        if os.path.isdir(path):
            for file in scan(path, Patterns(("__pycache__/",))).files:
                yield f"lambdabuild/{name}/{file.path}", file_of(run, file.real)
        else:
            yield f"lambdabuild/{name}.py", file_of(run, path + ".py")


def file_of(run: Run, path: str) -> File:
    stat = os.stat(path)
    return File(Digest(run.stats.digest(path), stat.st_size), bool(stat.st_mode & 0o100), path)


def is_broken(ran: Ran) -> bool:
    """Return whether it ended without an answer: the worker died, or has no Python that will do.

    Some engines keep failures too; whatever was missing then may be there now.
    """
    return ran.status not in DONE or not ran.stdout.startswith(b"{") or bool(ran.status and ran.is_known)


def answer_of(ran: Ran) -> Json:
    try:
        answer: Json = json.loads(ran.stdout)
        return answer
    except ValueError as error:
        raise ExecutorFailed(f"a worker answered with no JSON: {error}", help="look at the engine's workers") from error
