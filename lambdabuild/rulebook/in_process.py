"""Run a step of a rule that is written in Python: its rule.py is imported by path, once."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import traceback
from types import ModuleType

from lambdabuild.core.errors import BadRule, LambdaBuildError
from lambdabuild.core.spans import Span
from lambdabuild.plan.types import Rule
from lambdabuild.rule_api import Job, Result
from lambdabuild.rulebook import contract

_loading = threading.Lock()


def run(rule: Rule, job: Job) -> Result:
    """Run one step: the rule's own function of that name, else the default.

    Whatever goes wrong inside a rule is a LambdaBuildError: its own ones as they are, anything else as LB401 with the
    end of its traceback.
    """
    step = getattr(_module(rule), job.step, None) if rule.entry else None
    if step is None:
        return contract.default(rule, job)
    try:
        result = step(job)
    except (LambdaBuildError, OSError):
        raise
    except Exception as error:
        raise BadRule(
            f"{job.who}: rule {rule.name!r} broke down in {job.step}: {type(error).__name__}: {error}",
            where=Span(_entry(rule)),
            tail="".join(traceback.format_exc(limit=-4)),
            help="this is a mistake in the rule, not in your project",
        ) from error
    if not isinstance(result, Result):
        raise BadRule(
            f"rule {rule.name!r} gave {type(result).__name__} from {job.step}, not a Result", where=Span(_entry(rule))
        )
    contract.check(rule, job, result)
    return result


def _module(rule: Rule) -> ModuleType:
    name = f"lambdabuild_rule_{rule.name}_{abs(hash(rule.folder))}"
    with _loading:
        if name not in sys.modules:
            sys.modules[name] = _import(rule, name)
        return sys.modules[name]


def _import(rule: Rule, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _entry(rule))
    if spec is None or spec.loader is None:
        raise BadRule(f"rule {rule.name!r} has no entry {rule.entry!r}", where=Span(rule.folder))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being made
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise BadRule(
            f"rule {rule.name!r} cannot be imported: {type(error).__name__}: {error}",
            where=Span(_entry(rule)),
            tail="".join(traceback.format_exc(limit=-2)),
        ) from error
    return module


def _entry(rule: Rule) -> str:
    return os.path.join(rule.folder, str(rule.entry))
