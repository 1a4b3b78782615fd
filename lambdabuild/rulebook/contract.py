"""Rules that hold however a rule is run: defaults of the steps it leaves out, and where its results may be."""

from __future__ import annotations

import os
from collections.abc import Callable

from lambdabuild.core.errors import BadRule
from lambdabuild.core.spans import Span
from lambdabuild.plan.types import Rule, StepClaims
from lambdabuild.rule_api import Folder, Job, Result


def default(rule: Rule, job: Job) -> Result:
    """Run the default of a step that the rule does not have."""
    return _DEFAULTS[job.step](rule, job)


def _nothing(rule: Rule, job: Job) -> Result:
    return Result()


def _copy_source(rule: Rule, job: Job) -> Result:
    if not rule.ships_source:
        return Result()
    into, notes = job.parent_folder(job.target.options.get(rule.source_below))
    return Result(parts=(Folder(job.target.source, into, rule.leave_out), *_manifest(rule, job)), notes=notes)


def _manifest(rule: Rule, job: Job) -> tuple[Folder, ...]:
    """Return the manifest as a part of its own, from where it lies, when it ships and is not in the code folder."""
    folder, name = os.path.split(job.target.manifest)
    is_outside = bool(name) and folder != job.target.source and name not in job.files
    return (Folder(folder, leave_out=("/*", f"!/{name}")),) if is_outside and name == rule.ships_manifest else ()


_DEFAULTS: dict[str, Callable[[Rule, Job], Result]] = {
    "resolve": _nothing,
    "fetch": _nothing,
    "compile": _nothing,
    "copy": _copy_source,
}


def check(rule: Rule, job: Job, result: Result) -> None:
    """A part must lie where it stays: the step's own folder, the store, the source. Raises BadRule (LB401)."""
    claims: StepClaims | None = getattr(rule, job.step)
    if claims is not None and claims.reads_are_complete and result.reads:
        raise BadRule(
            f"{job.who}: rule {rule.name!r} claims that {job.step} is closed, and says that it read {result.reads[0]}",
            where=place(rule),
            help=f"remove closed from [{job.step}] in rule.toml",
        )
    homes = tuple(os.path.realpath(home) + os.sep for home in (job.out, job.store, job.target.source))
    for part in result.parts:
        if not (os.path.realpath(part.path) + os.sep).startswith(homes):
            raise BadRule(
                f"{job.who}: rule {rule.name!r} handed over {part.path}, which is not in its own folder",
                where=place(rule),
                help="write into job.out",
            )
        if not os.path.exists(part.path):
            raise BadRule(
                f"{job.who}: rule {rule.name!r} handed over {part.path}, which does not exist",
                where=place(rule),
                help="make it before handing it over",
            )


def place(rule: Rule) -> Span:
    """Return the rule's program."""
    programs = [rule.entry] if isinstance(rule.entry, str) else list(rule.entry[::-1])
    paths = [os.path.join(rule.folder, name) for name in programs if name]
    return Span(next(filter(os.path.isfile, paths), rule.folder))
