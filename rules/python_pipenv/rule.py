"""Python packages of a Pipfile, as its Pipfile.lock says when there is one."""

from lambdabuild.rule_api import Job, Result
from lambdabuild.wheels.bytecode import compile_all


def resolve(job: Job) -> Result:
    from lambdabuild.wheels.pipenv import from_pipfile  # not where compile is run elsewhere

    return from_pipfile(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
