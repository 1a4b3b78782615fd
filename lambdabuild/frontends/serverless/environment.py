"""The world outside a serverless.yml, as its variables may ask it: files, the environment, git, node, AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from lambdabuild.core.errors import LambdaBuildError, Offline, SourceFailed, ToolFailed, ToolMissing
from lambdabuild.core.model import Read
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.serverless.variables import dotenv
from lambdabuild.frontends.yaml_text import parse_any

NODE_SECONDS = 60.0

GIT: Mapping[str, tuple[str, ...]] = {
    "branch": ("rev-parse", "--abbrev-ref", "HEAD"),
    "sha1": ("rev-parse", "--short", "HEAD"),
    "commit": ("rev-parse", "HEAD"),
    "message": ("log", "-1", "--pretty=%B"),
    "messageSubject": ("log", "-1", "--pretty=%s"),
    "messageBody": ("log", "-1", "--pretty=%b"),
    "describe": ("describe", "--always"),
    "describeLight": ("describe", "--always", "--tags"),
    "user": ("config", "user.name"),
    "email": ("config", "user.email"),
    "tags": ("tag", "--points-at", "HEAD"),
    "repository": ("rev-parse", "--show-toplevel"),
    "isDirty": ("status", "--porcelain"),
}


class Aws(Protocol):
    """What AWS is asked; ``service`` is one of ``cf``, ``ssm``, ``ssm-encrypted``, ``s3``, ``account``."""

    def ask(self, service: str, region: str, name: str) -> Any: ...


class Files(Protocol):
    """The project's files; ``runs_programs`` says whether a JavaScript file among them can be run."""

    project: str
    runs_programs: bool

    def read(self, path: str) -> str: ...


class Outside:
    """One project's outside at one run; nothing is asked twice."""

    def __init__(
        self,
        files: Files,
        environment: Mapping[str, str],
        options: Mapping[str, str],
        aws: Callable[[], Aws],
        offline: bool,
    ) -> None:
        self.files, self.project, self.offline = files, files.project, offline
        self.environment, self.options = dict(environment), dict(options)
        self._aws = aws
        self._known: dict[tuple[str, ...], Any] = {}
        self._variables: set[str] = set()
        self.secrets: set[str] = set()
        """Values of the environment that were asked for: no message may quote them."""

    def variable(self, name: str) -> str | None:
        self._variables.add(name)
        value = self.environment.get(name)
        self.secrets |= {value} if value else set()
        return value

    def read(self, others: Iterable[str]) -> Read:
        """Return what was read so far; ``others`` are files that were read elsewhere."""
        kinds = {key[0] for key in self._known}
        files = dict.fromkeys([*others, *(key[1] for key in self._known if key[0] == "text")])
        return Read(tuple(files), tuple(sorted(self._variables)), kinds <= {"text", "nodes"})

    def load_dotenv(self, *names: str, expands: bool = True) -> dict[str, str]:
        """Load .env files that are there, in this order; gives their variables, those of the last file that has one."""
        found: dict[str, str] = {}
        for name in names:
            text = self.text(name)
            found |= dotenv.load(text, self.environment, expands=expands) if text is not None else {}
        return found

    def text(self, path: str) -> str | None:
        found: str | None = self._once(("text", path), lambda: self._read(path))
        return found

    def _read(self, path: str) -> str | None:
        try:
            return self.files.read(path).replace("\r\n", "\n")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SourceFailed(
                f"cannot read {path}: {why}", where=Span(path), help="make it a readable text file"
            ) from error

    def nodes(self, path: str) -> Node | None:
        text = self.text(path)
        return None if text is None else self._once(("nodes", path), lambda: parse_any(path, text))

    def javascript(self, path: str, address: str, ask: Callable[[str, Any], Any]) -> Any:
        if not os.path.exists(os.path.join(self.project, path)):
            return None
        return self._once(("javascript", path, address), lambda: self._run_node(path, address, ask))

    def _run_node(self, path: str, address: str, ask: Callable[[str, Any], Any]) -> Any:
        if not self.files.runs_programs:
            raise SourceFailed(f"{path} is a program; its past versions are not run", where=Span(path))
        from importlib import resources

        from lambdabuild.core import tools

        node = tools.find("node", self.environment.get("PATH"))
        if node is None:
            raise SourceFailed(f"{path} needs node, which is not on PATH", help="install Node.js, or write it as YAML")
        said: dict[str, Any] = {}

        def answer(line: str) -> str | None:
            message = json.loads(line)
            if "ask" not in message:
                said.update(message)
                return None
            try:
                return json.dumps({"value": ask(message["ask"], message["what"])})
            except LambdaBuildError as error:
                said["cause"] = error
                return json.dumps({"error": error.message})

        with resources.as_file(resources.files("lambdabuild.frontends.serverless").joinpath("ask_node.cjs")) as script:
            command = [node, str(script), os.path.join(self.project, path), address, json.dumps(self.options)]
            try:
                tools.converse(
                    command, cwd=self.project, env=self.environment, timeout_seconds=NODE_SECONDS, answer=answer
                )
            except (ToolFailed, ToolMissing) as error:
                raise SourceFailed(f"node could not load {path}", where=Span(path), tail=error.tail) from error
        return self._exported(path, said)

    @staticmethod
    def _exported(path: str, said: Mapping[str, Any]) -> Any:
        if said.get("missing"):
            raise SourceFailed(
                f"{path} is TypeScript, which this node does not read",
                where=Span(path),
                help="npm install --save-dev esbuild, tsx or typescript, or use a node that strips types (22.18)",
            )
        if "cause" in said and "error" in said:
            raise said["cause"]
        if "error" in said:
            raise SourceFailed(f"{path} threw an error", where=Span(path), tail=said["error"], help="correct the file")
        return said.get("value")

    def conditions(self, conditions: Sequence[str], service: Any) -> Sequence[Mapping[str, Any]]:
        """Return node's answer for each JavaScript condition: ``{holds: bool}`` or ``{error: text}``."""
        given = json.dumps({"conditions": conditions, "service": service, "options": self.options})
        found: Sequence[Mapping[str, Any]] = self._once(
            ("conditions", given), lambda: json.loads(self._node("evaluate_conditions.cjs", given))
        )
        return found

    def _node(self, script: str, stdin: str) -> str:
        from importlib import resources

        from lambdabuild.core import tools

        node = tools.find("node", self.environment.get("PATH"))
        if node is None or not self.files.runs_programs:
            raise SourceFailed("a condition is JavaScript, which needs node", help="install Node.js, or compare texts")
        with resources.as_file(resources.files("lambdabuild.frontends.serverless").joinpath(script)) as file:
            try:
                said = tools.run(
                    [node, str(file)], cwd=self.project, env=self.environment, timeout_seconds=NODE_SECONDS, stdin=stdin
                )
            except (ToolFailed, ToolMissing) as error:
                raise SourceFailed("node could not evaluate the conditions", tail=error.tail) from error
        return said.stdout

    def git(self, what: str) -> str | None:
        if what not in GIT:
            raise SourceFailed(f"git knows no {what!r}", help=f"ask for one of {', '.join(GIT)}")
        found = self._once(("git", what), lambda: self._git(GIT[what]))
        if found is None or what not in ("isDirty", "repository"):
            return found or None
        return os.path.basename(found) if what == "repository" else str(bool(found)).lower()

    def _git(self, arguments: tuple[str, ...]) -> str | None:
        from lambdabuild.core import tools

        try:
            said = tools.run(["git", *arguments], cwd=self.project, env=tools.environment(), timeout_seconds=30)
        except (ToolFailed, ToolMissing):
            return None
        return said.stdout.strip()

    def aws(self, service: str, region: str, name: str) -> Any:
        if self.offline:
            raise Offline("AWS would have to be asked, and the run is offline", help="run it without offline")
        return self._once(("aws", service, region, name), lambda: self._aws().ask(service, region, name))

    def _once(self, key: tuple[str, ...], ask: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]
