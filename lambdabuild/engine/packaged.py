"""Whether functions can be started from the distribution that is their code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lambdabuild.artifacts.entries import Entry
from lambdabuild.engine.site import Site
from lambdabuild.errors import BadManifest, HandlerNotPackaged, LambdaBuildError, raise_all
from lambdabuild.model import Function
from lambdabuild.plan.types import Build
from lambdabuild.rule_api import Result


def check(site: Site, build: Build, results: Mapping[str, Result], entries: Sequence[Entry]) -> Iterator[str]:
    """Gives notes on what cannot be told from here: what layers bring.

    Raises HandlerNotPackaged (LB609), and BadManifest (LB402) for a distribution that does not run on a runtime.
    """
    facts, modules = results["package"].facts, {_module(entry.path) for entry in entries}
    functions = [function for function in site.service.functions if function.name in dict(build.handlers)]
    raise_all([*_wrong_pythons(functions, facts), *_missing_handlers(site, build, functions, facts, modules)])
    for function in functions:
        if _handler_module(function) not in modules:
            yield f"{function.name}: the handler {function.handler} is not in {facts['name']}, so a layer must have it"
    if functions and facts["requires"] and not build.resolution:
        names = ", ".join(str(name) for name in facts["requires"])
        yield f"{build.name}: {facts['name']} requires {names}, which layers must have"


def _module(path: str) -> str:
    """The module that a file is, as handlers name it: ``app/__init__.py`` is ``app``."""
    stem = path.split(".")[0] if path.endswith((".so", ".py", ".pyc")) else path
    return stem.removesuffix("/__init__").replace("/", ".")


def _handler_module(function: Function) -> str:
    """Lambda takes both ``app.orders.handler`` and ``app/orders.handler``."""
    return function.handler.rpartition(".")[0].replace("/", ".")


def _wrong_pythons(functions: Sequence[Function], facts: Mapping[str, Any]) -> Iterator[LambdaBuildError]:
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(facts["requires_python"])
    for function in functions:
        if not wanted.contains(f"{function.runtime.removeprefix('python')}.99", prereleases=True):
            yield BadManifest(
                f"function {function.name!r} runs {function.runtime}, but {facts['name']} requires Python {wanted}",
                where=function.where,
                mend="change Runtime, or requires-python in pyproject.toml",
            )


def _missing_handlers(
    site: Site, build: Build, functions: Sequence[Function], facts: Mapping[str, Any], modules: set[str]
) -> Iterator[LambdaBuildError]:
    for function in functions:
        module = _handler_module(function)
        if module in modules:
            continue
        beside = _beside(site, build, function)
        if beside or not (function.layers or function.foreign_layers):
            where = f"; {beside} lies beside it" if beside else ""
            yield HandlerNotPackaged(
                f"the handler {function.handler} of function {function.name!r} is not in the distribution"
                f" {facts['name']}{where}",
                where=function.where,
                mend=f"move it into the package, and name it by that: {_example(modules, facts)}.{_last(function)}",
            )


def _beside(site: Site, build: Build, function: Function) -> str:
    """The handler's file when it is in the project's or the function's folder, but was not packaged."""
    name = _handler_module(function).replace(".", "/") + ".py"
    folders = dict.fromkeys((build.key.package, function.source))
    return next((path for path in (os.path.normpath(os.path.join(f, name)) for f in folders)
                 if os.path.isfile(site.path(path))), "")  # fmt: skip


def _example(modules: set[str], facts: Mapping[str, Any]) -> str:
    """A package that is there."""
    name = str(facts["name"]).replace("-", "_")
    return next((module for module in sorted(modules) if module.lower() == name.lower()), name)


def _last(function: Function) -> str:
    module, _, handler = function.handler.rpartition(".")
    return f"{module.replace('/', '.').rpartition('.')[2]}.{handler}"
