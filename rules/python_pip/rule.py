"""Python packages of a requirements.txt, as wheels for the runtime's platform."""

from lambdabuild.rule_api import Job, Result
from lambdabuild.wheels.bytecode import compile_all


def resolve(job: Job) -> Result:
    from lambdabuild.wheels.resolve import from_requirements  # not where compile is run elsewhere

    return from_requirements(job.here())


def compile(job: Job) -> Result:
    return compile_all(job)
