"""Python packages of a pyproject.toml, as its uv.lock says when there is one."""

from lambdabuild.python.wheels.bytecode import compile_all
from lambdabuild.rule_api import Job, Result


def resolve(job: Job) -> Result:
    from lambdabuild.python.resolve import from_pyproject  # not where compile is run elsewhere

    return from_pyproject(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
