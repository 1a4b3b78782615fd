"""Definition + artifacts -> the whole template. Pure; equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from lambdabuild.cloudformation import core, durable, functions, helpers, iam, layers, logs, resources
from lambdabuild.cloudformation.context import Artifact, Context
from lambdabuild.cloudformation.events import compile as compile_events
from lambdabuild.cloudformation.fragment import Fragment, Json, joined
from lambdabuild.core import naming
from lambdabuild.core.errors import LambdaBuildError, raise_all
from lambdabuild.core.model import Definition


def compile(definition: Definition, artifacts: Mapping[str, Artifact]) -> Json:
    """Return the template of a service whose artifacts are known (``function:KEY``, ``layer:KEY``).

    Raise the mistakes of all functions together. ``limits.check`` decides whether CloudFormation accepts the result.
    """
    context = Context(definition, artifacts)
    everything = joined(_parts(context))
    own = [
        iam.of_one(context, function, everything.of(function.key), everything.services_of(function.key))
        for function in context.functions.values()
        if context.roles.has_own(function)
    ]
    role = iam.compile(context, everything.of(""), everything.services_of(""))
    both = joined([core.compile(context), role, *own, everything, helpers.compile(context, everything.helpers)])
    template: Json = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": core.DESCRIPTION,
        "Resources": dict(both.resources),
        "Outputs": {key: _exported(context, key, output) for key, output in both.outputs.items()},
    }
    return resources.merged(template, definition)


def compile_core(definition: Definition) -> Json:
    """Return the template that creates the stack's bucket, before anything can be uploaded to it."""
    fragment = core.compile(Context(definition, {}))
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": core.DESCRIPTION,
        "Resources": dict(fragment.resources),
        "Outputs": dict(fragment.outputs),
    }


def _parts(context: Context) -> list[Fragment]:
    """Return everything but the roles, which depend on all of it."""
    made: list[Callable[[], Fragment]] = [partial(durable.compile, context)]
    for part in (logs.compile, *functions.PARTS):
        made += [partial(part, context, function) for function in context.functions.values()]
    made += [partial(compile_events, context)]
    made += [partial(layers.compile, context, key) for key in context.layers]
    fragments, errors = list[Fragment](), list[LambdaBuildError]()
    for make in made:
        try:
            fragments.append(make())
        except LambdaBuildError as error:
            errors += getattr(error, "errors", (error,))
    raise_all(errors)
    return fragments


def _exported(context: Context, key: str, output: Json) -> Json:
    return {**output, "Export": {"Name": naming.export(context.service, context.stage, key)}}
