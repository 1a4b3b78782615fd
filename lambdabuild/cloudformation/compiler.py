"""Definition + artifacts -> the whole template. Pure; equal input gives equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from lambdabuild import naming
from lambdabuild.cloudformation import core, functions, iam, layers, logs, resources
from lambdabuild.cloudformation.context import Artifact, Context
from lambdabuild.cloudformation.events import compile as compile_events
from lambdabuild.cloudformation.fragment import Fragment, Json, joined
from lambdabuild.errors import LambdaBuildError, raise_all
from lambdabuild.model import Definition


def compile(definition: Definition, artifacts: Mapping[str, Artifact]) -> Json:
    """The template of a service whose artifacts are known (``function:KEY``, ``layer:KEY``).

    All functions that cannot be compiled are told together. Whether CloudFormation takes it, ``limits.check`` tells.
    """
    context = Context(definition, artifacts)
    errors: list[LambdaBuildError] = []
    parts = list(_parts(context, errors))
    raise_all(errors)
    everything = joined(parts)
    role = iam.compile(context, everything.statements, everything.services)
    both = joined([core.compile(context), role, everything])
    template: Json = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": core.DESCRIPTION,
        "Resources": dict(both.resources),
        "Outputs": {key: _exported(context, key, output) for key, output in both.outputs.items()},
    }
    return resources.merged(template, definition)


def compile_core(definition: Definition) -> Json:
    """The template that makes the stack's bucket, before anything can be sent to it."""
    found = core.compile(Context(definition, {}))
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": core.DESCRIPTION,
        "Resources": dict(found.resources),
        "Outputs": dict(found.outputs),
    }


def as_text(template: Json) -> str:
    """Sorted, so that the same template is the same text."""
    return json.dumps(_numbers(template), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _parts(context: Context, errors: list[LambdaBuildError]) -> Iterator[Fragment]:
    for function in context.functions.values():
        found = []
        for part in (logs.compile, *functions.PARTS, compile_events):
            try:
                found.append(part(context, function))
            except LambdaBuildError as error:
                errors += getattr(error, "errors", (error,))
        if not errors and context.has_own_role(function):
            whole = joined(found)
            yield iam.of_one(context, function, whole.statements, whole.services)
            found = [replace(part, statements=(), services=()) for part in found]
        yield from found
    for key in context.layers:
        yield layers.compile(context, key)


def _exported(context: Context, key: str, output: Json) -> Json:
    return {**output, "Export": {"Name": naming.export(context.service, context.stage, key)}}


def _numbers(value: object) -> object:
    """1.0 is 1 in JSON as JavaScript writes it."""
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value
