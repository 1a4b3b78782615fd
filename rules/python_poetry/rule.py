"""Python packages of a pyproject.toml of Poetry, as its poetry.lock says."""

from lambdabuild.rule_api import Job, Result
from lambdabuild.wheels.bytecode import compile_all


def resolve(job: Job) -> Result:
    from lambdabuild.wheels.poetry import from_poetry  # not where compile is run elsewhere

    return from_poetry(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
