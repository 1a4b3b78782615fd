"""[functions.NAME] tables -> Functions that no template has. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Literal, cast

from lambdabuild.config.settings import Settings, nearest
from lambdabuild.config.tables import DESCRIBED, EVERY, FunctionTable, LayerSettings, described, layer_units
from lambdabuild.core.errors import BadSettings, LambdaBuildError, raise_all
from lambdabuild.core.model import Function, Layer, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Matches the name of a function: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
ARN = re.compile(r"arn:[^:]+:lambda:.+")
EXAMPLES: Mapping[str, str] = {"path": '"src/orders"', "runtime": '"python3.13"'}
"""Settings that a function cannot be without."""


def functions_of(settings: Settings, service: Service) -> tuple[Function, ...]:
    """Return the functions that tables add to those of the template. Raise all mistakes together (LB107)."""
    tables = {name: cast("FunctionTable", table) for name, table in settings.functions.items()}
    common = tables.pop(EVERY, FunctionTable())
    in_template = _named_in(service)
    raise_all(error for name in sorted(tables.keys() & in_template) for error in _said_twice(name, tables[name]))
    is_alone = not service.documents and service.definition is None
    names = [name for name in described(settings.functions, is_alone) if name not in in_template]
    own = {name: _with_common(tables[name], common) for name in names}
    layers = _Layers(settings, service)
    raise_all(error for name, table in sorted(own.items()) for error in _mistakes(name, table, layers))
    return tuple(_function(name, table, layers) for name, table in sorted(own.items()))


def _named_in(service: Service) -> frozenset[str]:
    kinds = (service.functions, service.layers, service.images, service.skipped, service.broken)
    return frozenset(item.name for items in kinds for item in items)


def _with_common(table: FunctionTable, common: FunctionTable) -> FunctionTable:
    """Return a table with what ``[functions."*"]`` says of a function where the table itself says nothing."""
    return replace(table, **{name: getattr(common, name) for name in DESCRIBED if not getattr(table, name)})


class _Layers:
    """The layers that a function can name."""

    def __init__(self, settings: Settings, service: Service) -> None:
        self.in_template: Mapping[str, Layer] = {layer.name: layer for layer in service.layers}
        self.tables: Mapping[str, LayerSettings] = settings.layers

    @property
    def names(self) -> list[str]:
        return sorted({*self.in_template, *self.tables})

    def architectures(self, name: str) -> dict[str, str]:
        """Return what is built for a layer: architecture -> artifact. Raises KeyError if there is no such layer."""
        if name in self.in_template:
            return {self.in_template[name].architecture: name}
        return {architecture: unit for unit, architecture in layer_units(name, self.tables[name])}


def _function(name: str, table: FunctionTable, layers: _Layers) -> Function:
    architecture = cast('Literal["x86_64", "arm64"]', _architecture(table))
    own = [layer for layer in table.layers if not ARN.fullmatch(layer)]
    return Function(
        name=name,
        runtime=table.runtime,
        architecture=architecture,
        handler=table.handler,
        source=posixpath.normpath(table.path),
        where=_place(table),
        build_method=table.build_method,
        layers=tuple(layers.architectures(layer)[architecture] for layer in own),
        foreign_layers=len(table.layers) - len(own),
        from_settings=True,
    )


def _architecture(table: FunctionTable) -> str:
    return table.architecture or "x86_64"


def _place(table: FunctionTable) -> Span:
    return table.where or Span("lambdabuild.toml")


def _said_twice(name: str, table: FunctionTable) -> Iterator[LambdaBuildError]:
    for key in DESCRIBED:
        if getattr(table, key):
            yield BadSettings(
                f"{name!r} is in the template, which sets its {key}",
                where=_place(table),
                help=f"leave {key} out of [functions.{name}], or choose another name",
            )


def _mistakes(name: str, table: FunctionTable, layers: _Layers) -> Iterator[LambdaBuildError]:
    where = _place(table)
    if not NAME.fullmatch(name):
        help = "use up to 64 letters, digits, hyphens and underscores, as Lambda does"
        yield BadSettings(f"a function cannot be called {name!r}", where=where, help=help)
    for key, example in EXAMPLES.items():
        if not getattr(table, key):
            yield BadSettings(
                f"[functions.{name}] has no {key}, and no template has this function",
                where=where,
                help=f'add {key} = {example}, to it or to [functions."*"]',
            )
    for layer in table.layers:
        if not ARN.fullmatch(layer):
            yield from _mistake_in_layer(name, layer, _architecture(table), layers, where)


def _mistake_in_layer(
    name: str, layer: str, architecture: str, layers: _Layers, where: Span
) -> Iterator[LambdaBuildError]:
    if layer not in layers.names:
        near = nearest(layer, layers.names)
        known = f"there are: {', '.join(layers.names)}" if layers.names else "describe it: [layers.NAME]"
        yield BadSettings(
            f"[functions.{name}] names the layer {layer!r}, which does not exist",
            where=where,
            help=f"did you mean {near!r}?" if near else known,
        )
    elif architecture not in layers.architectures(layer):
        yield BadSettings(
            f"function {name!r} is for {architecture}, but its layer {layer!r} is not",
            where=where,
            help=f'add it: [layers.{layer}] architectures = ["{architecture}"]',
        )
