"""Python packages of a requirements.txt, as wheels for the runtime's platform."""

from lambdabuild.python.wheels.bytecode import compile_all
from lambdabuild.rule_api import Job, Result


def resolve(job: Job) -> Result:
    from lambdabuild.python.resolve import from_requirements  # not where compile is run elsewhere

    return from_requirements(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
