"""A caller's tools: those of this machine, some folders of the caller first, and their output shown to people."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from lambdabuild.core import tools
from lambdabuild.core.records import Struct
from lambdabuild.core.tools import Output

LOG = logging.getLogger(__name__)

FOR_PEOPLE = frozenset({"bundle", "cargo-lambda", "dotnet", "gradle", "make", "mvn", "npm", "pnpm", "sh", "yarn"})
"""Tools whose standard output is meant for people. That of others is read by the rule that runs them."""
AS_DATA = frozenset({"--version", "--json", "--parseable", "prefix"})


class CallerTools(Struct, frozen=True):
    """Run tools with the caller's environment, those in ``search_paths`` first; this process's own stays as it is."""

    environment: Mapping[str, str]
    search_paths: tuple[str, ...] = ()

    @property
    def machine(self) -> tuple[str, str]:
        return tools.HERE.machine

    @property
    def identity(self) -> str:
        return tools.HERE.identity

    def find(self, name: str) -> str | None:
        first = shutil.which(name, path=os.pathsep.join(self.search_paths)) if self.search_paths else None
        return first or tools.find(name, self.environment.get("PATH"))

    def run(
        self, argv: Sequence[str], *, cwd: str, names: Sequence[str], extra: Mapping[str, str],
        timeout_seconds: float | None, who: str, help: str, stdin: str | None,
    ) -> Output:  # fmt: skip
        tool = os.path.basename(argv[0])
        is_for_people = tool in FOR_PEOPLE and not AS_DATA & set(argv)
        output = tools.run(
            argv, cwd=cwd, env=tools.environment(names, self._with_path(extra), self.environment),
            timeout_seconds=timeout_seconds, who=who, help=help, stdin=stdin,
            heard=partial(_say, tool) if is_for_people else None,
        )  # fmt: skip
        if not is_for_people:
            _say(tool, output.stderr)
        return output

    def _with_path(self, extra: Mapping[str, str]) -> Mapping[str, str]:
        if not self.search_paths:
            return extra
        path = extra.get("PATH") or self.environment.get("PATH") or os.defpath
        return {**extra, "PATH": os.pathsep.join((*self.search_paths, path))}


def _say(tool: str, text: str) -> None:
    """Write a tool's output to standard error; that of make at any level of logging, as Lambda Builders does."""
    if text and sys.stderr is not None and (tool == "make" or LOG.isEnabledFor(logging.INFO)):
        sys.stderr.write(text)
