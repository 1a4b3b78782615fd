"""The world outside a serverless.yml, as its variables may ask it: files, the environment, git, node, AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from lambdabuild.core import tools
from lambdabuild.core.errors import Offline, SourceFailed, ToolFailed, ToolMissing
from lambdabuild.core.model import Read
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.serverless import javascript
from lambdabuild.frontends.serverless.javascript import JavaScript
from lambdabuild.frontends.serverless.variables import dotenv
from lambdabuild.frontends.yaml_text import parse_any

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


class Files(javascript.Files, Protocol):
    """The project's files."""

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
        self._javascript = JavaScript(files, self.environment, self.options)
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
        """Load .env files that are there, in this order; return their variables, of which the last file's win."""
        variables: dict[str, str] = {}
        for name in names:
            text = self.text(name)
            variables |= dotenv.load(text, self.environment, expands=expands) if text is not None else {}
        return variables

    def text(self, path: str) -> str | None:
        text: str | None = self._once(("text", path), lambda: _content(self.files, path))
        return text

    def nodes(self, path: str) -> Node | None:
        text = self.text(path)
        return None if text is None else self._once(("nodes", path), lambda: parse_any(path, text))

    def javascript(self, path: str, address: str, ask: Callable[[str, Any], Any]) -> Any:
        if not os.path.exists(os.path.join(self.project, path)):
            return None
        return self._once(("javascript", path, address), lambda: self._javascript.exported(path, address, ask))

    def conditions(self, conditions: Sequence[str], service: object) -> Sequence[Mapping[str, Any]]:
        """Return node's answer for each JavaScript condition: ``{holds: bool}`` or ``{error: text}``."""
        question = json.dumps({"conditions": conditions, "service": service, "options": self.options})
        answers: Sequence[Mapping[str, Any]] = self._once(
            ("conditions", question), lambda: self._javascript.evaluated(question)
        )
        return answers

    def git(self, what: str) -> str | None:
        if what not in GIT:
            raise SourceFailed(f"git knows no {what!r}", help=f"ask for one of {', '.join(GIT)}")
        output = self._once(("git", what), lambda: _git(self.project, GIT[what]))
        if output is None or what not in ("isDirty", "repository"):
            return output or None
        return os.path.basename(output) if what == "repository" else str(bool(output)).lower()

    def aws(self, service: str, region: str, name: str) -> Any:
        if self.offline:
            raise Offline("AWS would have to be asked, and the run is offline", help="run it without offline")
        return self._once(("aws", service, region, name), lambda: self._aws().ask(service, region, name))

    def _once(self, key: tuple[str, ...], ask: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]


def _git(folder: str, arguments: tuple[str, ...]) -> str | None:
    """Return what git prints; None when it fails or is missing."""
    try:
        output = tools.run(["git", *arguments], cwd=folder, env=tools.environment(), timeout_seconds=30)
    except (ToolFailed, ToolMissing):
        return None
    return output.stdout.strip()


def _content(files: Files, path: str) -> str | None:
    """Return a file's text; None when there is none. Raises SourceFailed."""
    try:
        return files.read(path).replace("\r\n", "\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SourceFailed(
            f"cannot read {path}: {why}", where=Span(path), help="make it a readable text file"
        ) from error
