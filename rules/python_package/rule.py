"""A distribution of the project's own, installed as pip would, without its dependencies."""

from lambdabuild.python.wheels import distribution
from lambdabuild.rule_api import Job, Result


def compile(job: Job) -> Result:
    return distribution.build(job)
