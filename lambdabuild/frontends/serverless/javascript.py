"""What node is asked for a serverless.yml: what a JavaScript file exports, and whether a plugin's conditions hold."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from lambdabuild.core import tools
from lambdabuild.core.errors import LambdaBuildError, SourceFailed, ToolFailed, ToolMissing
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

NODE_SECONDS = 60.0


class Files(Protocol):
    """The project's folder; ``runs_programs`` says whether a JavaScript file in it can be run."""

    project: str
    runs_programs: bool


class JavaScript(Struct, frozen=True):
    """One project's node, with the environment as it is when node is asked, and the command line's options."""

    files: Files
    environment: Mapping[str, str]
    options: Mapping[str, str]

    def exported(self, path: str, address: str, ask: Callable[[str, Any], Any]) -> Any:
        """Return what a file exports, its functions called; ``ask`` answers their questions. Raises SourceFailed."""
        if not self.files.runs_programs:
            raise SourceFailed(f"{path} is a program; its past versions are not run", where=Span(path))
        node = self._node()
        if node is None:
            raise SourceFailed(f"{path} needs node, which is not on PATH", help="install Node.js, or write it as YAML")
        result: dict[str, Any] = {}
        with _script("ask_node.cjs") as script:
            file = os.path.join(self.files.project, path)
            try:
                tools.converse(
                    [node, script, file, address, json.dumps(self.options)],
                    cwd=self.files.project,
                    env=self.environment,
                    timeout_seconds=NODE_SECONDS,
                    answer=lambda line: _answer(line, ask, result),
                )
            except (ToolFailed, ToolMissing) as error:
                raise SourceFailed(f"node could not load {path}", where=Span(path), tail=error.tail) from error
        return _value(path, result)

    def evaluated(self, question: str) -> Sequence[Mapping[str, Any]]:
        """Return the answer to ``{conditions, service, options}`` as JSON: ``{holds: bool}`` or ``{error: text}``."""
        node = self._node()
        if node is None or not self.files.runs_programs:
            raise SourceFailed("a condition is JavaScript, which needs node", help="install Node.js, or compare texts")
        with _script("evaluate_conditions.cjs") as script:
            try:
                output = tools.run(
                    [node, script],
                    cwd=self.files.project,
                    env=self.environment,
                    timeout_seconds=NODE_SECONDS,
                    stdin=question,
                )
            except (ToolFailed, ToolMissing) as error:
                raise SourceFailed("node could not evaluate the conditions", tail=error.tail) from error
        answers: Sequence[Mapping[str, Any]] = json.loads(output.stdout)
        return answers

    def _node(self) -> str | None:
        return tools.find("node", self.environment.get("PATH"))


@contextmanager
def _script(name: str) -> Iterator[str]:
    """Give the path of a script of ours."""
    from importlib import resources  # when node is asked only, which few services need

    with resources.as_file(resources.files("lambdabuild.frontends.serverless").joinpath(name)) as file:
        yield str(file)


def _answer(line: str, ask: Callable[[str, Any], Any], result: dict[str, Any]) -> str | None:
    """Answer a question of the script; what else it says is its result."""
    message = json.loads(line)
    if "ask" not in message:
        result.update(message)
        return None
    try:
        return json.dumps({"value": ask(message["ask"], message["what"])})
    except LambdaBuildError as error:
        result["cause"] = error
        return json.dumps({"error": error.message})


def _value(path: str, result: Mapping[str, Any]) -> Any:
    if result.get("missing"):
        raise SourceFailed(
            f"{path} is TypeScript, which this node does not read",
            where=Span(path),
            help="npm install --save-dev esbuild, tsx or typescript, or use a node that strips types (22.18)",
        )
    if "cause" in result and "error" in result:
        raise result["cause"]
    if "error" in result:
        raise SourceFailed(f"{path} threw an error", where=Span(path), tail=result["error"], help="correct the file")
    return result.get("value")
