"""A function or layer that its own Makefile builds: target build-<LogicalId>, result in ARTIFACTS_DIR."""

import os

from lambdabuild.rule_api import BadManifest, Folder, Job, Result, ToolFailed


def compile(job: Job) -> Result:
    """Run make on a copy of the source, so that nothing of the user's is written to."""
    copy = job.copied_source()
    goal = f"build-{job.target.logical_id}"
    command = [job.tool("make"), "--makefile", _manifest(job, copy), goal]
    try:
        job.run(command, cwd=_working_directory(job, copy), extra_environment={"ARTIFACTS_DIR": job.out})
    except ToolFailed as error:
        if f"No rule to make target '{goal}'" in error.tail:
            raise BadManifest(
                f"{job.who}: the Makefile has no target {goal}",
                where=job.place(job.target.manifest),
                tail=error.tail,
                help=f"add the target {goal}, which puts the result into $(ARTIFACTS_DIR)",
            ) from error
        raise
    if not os.listdir(job.out):
        raise BadManifest(
            f"{job.who}: {goal} left nothing in ARTIFACTS_DIR",
            where=job.place(job.target.manifest),
            help='copy the result there: cp handler.py "$(ARTIFACTS_DIR)"',
        )
    return Result(parts=(Folder(job.out),))


def _manifest(job: Job, copy: str) -> str:
    """Return the copy of the Makefile, when it is part of the source."""
    inside = os.path.relpath(job.target.manifest, job.target.source)
    return job.target.manifest if inside.startswith("..") else os.path.join(copy, inside)


def _working_directory(job: Job, copy: str) -> str:
    """Return the folder to run in: the copy, or what WorkingDirectory names (in the copy, if that is in the source)."""
    wanted = job.target.options.get("WorkingDirectory")
    if not wanted:
        return copy
    folder = os.path.normpath(os.path.join(job.target.project, str(wanted)))
    inside = os.path.relpath(folder, job.target.source)
    return folder if inside.startswith("..") else os.path.join(copy, inside)
