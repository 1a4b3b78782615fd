"""The digests of rules and the versions of tools: inputs that are the same for many steps."""

from __future__ import annotations

import hashlib
import os

from lambdabuild.core import tools
from lambdabuild.engine.base.run import Run
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import Patterns, scan
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.plan.types import Rule
from lambdabuild.rulebook.search import PACKAGE

NOT_RULE_CODE = ("README.md", "example/", "test_*.py", "__pycache__/")


def rule_digest(run: Run, rule: Rule) -> str:
    """Return the digest of a rule's own code and of the libraries it names, taken once a run."""
    if rule.name not in run.rule_digests:
        folders = [rule.folder, *(os.path.join(PACKAGE, library) for library in rule.libraries)]
        digests = {
            str(position): fingerprint.of_listing(folder, scan(folder, Patterns(NOT_RULE_CODE)), run.stats)
            for position, folder in enumerate(folders)
        }
        run.rule_digests[rule.name] = fingerprint.of(digests)
    return run.rule_digests[rule.name]


def variable(run: Run, name: str) -> str:
    """Return the digest of a variable of the environment, because it may hold a secret; "unset" if there is none."""
    value = run.opened_with.environment.get(name)
    return "unset" if value is None else hashlib.sha256(value.encode()).hexdigest()[:32]


def tool_version(stats: StatCache, name: str) -> str:
    """Return the version that a tool prints; it is asked only if the program changed since the last time."""
    program, *question = name.split()
    path = tools.find(program)
    if path is None:
        return "missing"
    real = os.path.realpath(path)
    stat = os.stat(real)
    key = f"tool {path} {real} {question} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_size} {stat.st_ino}"
    version: str = stats.metadata(key, lambda: tools.version(name))
    return version
