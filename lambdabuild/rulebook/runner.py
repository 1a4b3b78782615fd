"""One step of a rule, however the rule is run."""

from __future__ import annotations

from lambdabuild.plan.types import Rule
from lambdabuild.rule_api import Job, Result


def run(rule: Rule, job: Job) -> Result:
    """Run a step; its result lies where it may (see ``contract``)."""
    if isinstance(rule.entry, tuple):
        from lambdabuild.rulebook import over_rpc

        return over_rpc.run(rule, job)
    from lambdabuild.rulebook import in_process

    return in_process.run(rule, job)
