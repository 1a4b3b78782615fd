"""Python packages of a pyproject.toml of Poetry, as its poetry.lock says."""

from lambdabuild.python.wheels.bytecode import compile_all
from lambdabuild.rule_api import Job, Result


def resolve(job: Job) -> Result:
    from lambdabuild.python.poetry.lock import from_poetry  # not where compile is run elsewhere

    return from_poetry(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
