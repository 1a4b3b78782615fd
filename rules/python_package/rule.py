"""A distribution of the project's own, installed as pip would, without its dependencies."""

from lambdabuild.rule_api import Job, Result
from lambdabuild.wheels import distribution


def compile(job: Job) -> Result:
    return distribution.build(job)
