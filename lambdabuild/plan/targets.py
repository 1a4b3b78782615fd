"""One function or layer as settings and template describe it together, before and after its rule is chosen."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TypeVar

from lambdabuild.config.settings import Settings
from lambdabuild.config.tables import Command
from lambdabuild.core.model import Function, Layer, Options, Service
from lambdabuild.plan.rule_choice import Choice
from lambdabuild.plan.types import Rule, StepClaims

T = TypeVar("T")


def targets(service: Service, settings: Settings) -> tuple[Function | Layer, ...]:
    """Return all functions and layers with code of their own; a function of ``[sources]`` has none."""
    functions = (function for function in service.functions if not settings.of(function.name).source)
    return (*functions, *service.layers)


def kind(item: Function | Layer) -> str:
    """Return how messages and settings call it: ``function`` or ``layer``."""
    return "layer" if isinstance(item, Layer) else "function"


def include(item: Function | Layer, settings: Settings) -> tuple[str, ...]:
    """Return the paths packed in addition to the code folder, its own first; layers ignore the project's list."""
    common = settings.include if isinstance(item, Function) else ()
    return _paths(settings.of(item.name).include, common)


def requirements(item: Function | Layer, settings: Settings) -> tuple[str, ...]:
    """Return the requirements files that are used in addition to the manifest, its own first."""
    common = settings.requirements if isinstance(item, Function) and item.runtime.startswith("python") else ()
    return _paths(settings.of(item.name).requirements, common)


def _paths(own: tuple[str, ...], common: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(posixpath.normpath(path) for path in (*own, *common))) if own or common else ()


def command(item: Function | Layer, settings: Settings) -> Command:
    """Return the command of ``[commands]`` that applies; an empty one when there is none."""
    return settings.command_of(item.name, item.build_method, runtime(item))


def runtime(item: Function | Layer) -> str:
    """Return the runtime to build for; "" for a layer that names none.

    A layer is built for the runtime its build method names, otherwise for the first of its compatible runtimes.
    """
    if isinstance(item, Function):
        return item.runtime
    names_runtime = item.build_method[-1:].isdigit() or "." in item.build_method
    return item.build_method if names_runtime else (item.runtimes or ("",))[0]


def inherited_folders(item: Function | Layer, service: Service, settings: Settings) -> tuple[str, ...]:
    """Return the folders in which a manifest is looked for after the code folder.

    They are the ContextPath of a makefile function, the ``root`` of the settings, and the folder of the item's
    template. A layer of the settings names its manifest or has it in its own folder.
    """
    if isinstance(item, Layer) and item.from_settings:
        return ()
    context = next((json.loads(value) for name, value in item.options if name == "ContextPath"), "")
    configured = [posixpath.normpath(folder) for folder in (context, settings.code_root) if folder]
    return (*configured, service.folder_of(item.name.rpartition("/")[0]))


def inherits(item: Function | Layer) -> bool:
    """Return whether a manifest outside of the code folder may be used; a layer of plain files needs none."""
    return isinstance(item, Function) or bool(item.build_method)


def layers_of_rule(item: Function | Layer, rule: Rule, service: Service) -> tuple[str, ...]:
    """Return the code folders of the stack's other layers that the rule could build, if it wants to know them."""
    if not claimed((rule,), {"layers": True}):
        return ()
    stack = posixpath.dirname(item.name)
    return tuple(
        sorted(
            layer.source
            for layer in service.layers
            if posixpath.dirname(layer.name) == stack
            and layer.source != item.source
            and any(fnmatchcase(layer.build_method, method) for method in rule.build_methods)
        )
    )


def options(item: Function | Layer, choice: Choice, settings: Settings) -> Options:
    """Return the options the rule asks for, as JSON, sorted by name.

    Later sources win: the rule's defaults, the settings, the function's own settings, the template's BuildProperties,
    then what lambdabuild itself passes on. ``EntryPoints``, ``entryPoints`` and ``entry_points`` are one option, under
    the name the rule gives it.
    """
    rules = (choice.rule, choice.resolver or choice.rule)
    configured = {**choice.rule.defaults, **settings.options, **settings.of(item.name).options}
    values = {name: json.dumps(value, sort_keys=True) for name, value in configured.items()}
    values |= dict(item.options) | _passed_on(item, choice, settings)
    return tuple(sorted(claimed(rules, values).items())) if values else ()


def claimed(rules: Iterable[Rule], options: Mapping[str, T]) -> dict[str, T]:
    """Return the options that steps of the rules claim, under the rules' names for them; the last of one name wins."""
    names = _claims(*(step for rule in rules for step in (rule.resolve, rule.compile, rule.copy)))
    return {names[_normalized(name)]: value for name, value in options.items() if _normalized(name) in names}


@lru_cache(maxsize=256)
def _claims(*steps: StepClaims | None) -> Mapping[str, str]:
    """Return the names of the options that steps claim, by their normalized spelling."""
    names = (name for step in steps if step for name in (*step.options, step.only_with_option) if name)
    return {_normalized(name): name for name in names}


def _passed_on(item: Function | Layer, choice: Choice, settings: Settings) -> dict[str, str]:
    """Return the options that are derived from the item and its settings.

    ``handler`` is there for rules whose result depends on it; ``layers`` names the folders of other layers, for rules
    that build a function against the layers it runs with.
    """
    own = settings.of(item.name)
    handler = item.handler if isinstance(item, Function) else None
    bytecode = settings.bytecode if own.bytecode is None else own.bytecode
    resolver = own.resolver or settings.resolver
    further = [path for path in requirements(item, settings) if path != choice.manifest]
    passed_on = {
        "handler": None if handler is None else json.dumps(handler),
        "layers": json.dumps(choice.layers) if choice.layers else None,
        "bytecode": "true" if bytecode else None,
        "resolver": json.dumps(resolver) if resolver else None,
        "requirements": json.dumps(further) if further else None,
    }
    return {name: value for name, value in passed_on.items() if value is not None}


def _normalized(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
