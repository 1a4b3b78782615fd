"""Python packages of a Pipfile, as its Pipfile.lock says when there is one."""

from lambdabuild.python.wheels.bytecode import compile_all
from lambdabuild.rule_api import Job, Result


def resolve(job: Job) -> Result:
    from lambdabuild.python.pipenv import from_pipfile  # not where compile is run elsewhere

    return from_pipfile(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
