"""Turn [layers.NAME] tables into the model's Layers, and say how every layer is published. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Literal, cast

from lambdabuild.config.settings import Settings, nearest
from lambdabuild.config.tables import LayerSettings, layer_units
from lambdabuild.core.errors import BadLayer, raise_all
from lambdabuild.core.model import About, Layer, Service
from lambdabuild.core.spans import Span
from lambdabuild.plan.types import Publication

ARCHITECTURES = ("x86_64", "arm64")
NAME = re.compile(r"[A-Za-z0-9_-]{1,140}")
"""Matches the name of a layer: https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html"""
ACCOUNT = re.compile(r"[0-9]{12}|[*]")
ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
"""https://docs.aws.amazon.com/lambda/latest/api/API_AddLayerVersionPermission.html"""
DESCRIPTION, LICENSE, RUNTIMES = 256, 512, 15
"""The limits of one version: characters of two texts, and the number of runtimes (same page)."""
OF_FUNCTIONS = (
    "packaged", "source", "source_version", "zip_dependencies", "auto_layers", "check_handler", "repository",
    "image_tags",
)  # fmt: skip
IN_TEMPLATE = ("path", "architectures")
"""Settings that a layer of the template cannot have, because the template says them."""


def layers_of(settings: Settings, service: Service) -> tuple[Layer, ...]:
    """Return the layers that tables add to those of the template. Raise all mistakes together (LB610)."""
    in_template = {layer.name for layer in service.layers} | {broken.name for broken in service.broken}
    functions = {function.name for function in service.functions} | {skipped.name for skipped in service.skipped}
    taken = in_template | functions
    tables = sorted(settings.layers.items())
    raise_all(error for name, table in tables for error in _mistakes(name, table, in_template, taken, settings))
    own = [(name, table) for name, table in tables if name not in in_template]
    layers = [layer for name, table in own for layer in _layers(name, table)]
    names = Counter([*taken, *(layer.name for layer in layers)])
    raise_all(
        BadLayer(f"two layers would be named {layer.name!r}", where=layer.where, help="choose another name")
        for layer in layers
        if names[layer.name] > 1
    )
    return tuple(layers)


def _layers(name: str, table: LayerSettings) -> Iterator[Layer]:
    for unit, architecture in layer_units(name, table):
        yield Layer(
            name=unit,
            architecture=cast('Literal["x86_64", "arm64"]', architecture),
            source=posixpath.normpath(table.path or posixpath.dirname(table.manifest) or "."),
            where=table.where or Span("lambdabuild.toml"),
            build_method=table.runtimes[0] if table.runtimes else "",
            runtimes=table.runtimes,
            about=About(table.name or name, table.description, table.license, (architecture,)),
            from_settings=True,
            dependencies_only=not table.path,
        )


def publications(
    service: Service, settings: Settings, broken: AbstractSet[str] = frozenset()
) -> tuple[Publication, ...]:
    """Return how each layer of the template and each table is published; a table wins over the template.

    A layer with a part in ``broken`` is left out.
    """
    layers = {layer.name: layer for layer in service.layers}
    of_tables = {name: layer_units(name, table) for name, table in settings.layers.items() if name not in layers}
    units = {unit for several in of_tables.values() for unit, _ in several}
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in layers if name not in units}
    groups |= {name: tuple(unit for unit, _ in several) for name, several in of_tables.items()}
    whole = [name for name in sorted(groups) if broken.isdisjoint((name, *groups[name]))]
    return tuple(_publication(name, [layers[key] for key in groups[name]], settings) for name in whole)


def _publication(name: str, layers: list[Layer], settings: Settings) -> Publication:
    table, about = settings.layers.get(name, LayerSettings()), layers[0].about
    everybody = ("*",) if table.public else ()
    return Publication(
        name=name,
        layers=tuple(layer.name for layer in layers),
        layer_name=table.name or about.name or name.replace("/", "-"),
        description=table.description or about.description,
        license=table.license or about.license,
        runtimes=table.runtimes or layers[0].runtimes,
        architectures=tuple(layer.about.architectures for layer in layers),
        accounts=tuple(sorted({*about.accounts, *table.accounts, *everybody})),
        organizations=tuple(sorted(set(table.organizations))),
        keep=table.keep,
    )


def _mistakes(
    name: str, table: LayerSettings, in_template: set[str], taken: set[str], settings: Settings
) -> Iterator[BadLayer]:
    where = table.where
    if name in settings.functions:
        yield BadLayer(f"there are both [functions.{name}] and [layers.{name}]", where=where, help="join them in one")
    if name in in_template:
        for key in IN_TEMPLATE:
            if getattr(table, key):
                yield BadLayer(
                    f"layer {name!r} is in the template, which sets its {key}",
                    where=where,
                    help=f"leave {key} out of [layers.{name}], or choose another name",
                )
        yield from _refused_by_lambda(name, table)
        return
    if name in taken:
        yield BadLayer(
            f"{name!r} is not a layer but a function of the template", where=where, help="choose another name"
        )
    elif not table.path and not table.manifest:
        near = nearest(name, in_template)
        yield BadLayer(
            f"[layers.{name}] has neither a path nor a manifest, and the template has no such layer",
            where=where,
            help=f"did you mean {near!r}?" if near else "name a folder (path), or a manifest",
        )
    elif table.manifest and not table.runtimes and not table.rule:
        yield BadLayer(
            f"[layers.{name}] has a manifest, but no runtimes",
            where=where,
            help='add them: runtimes = ["python3.13"]',
        )
    if not NAME.fullmatch(name):
        yield BadLayer(
            f"a layer cannot be called {name!r}", where=where, help="use letters, digits, hyphens and underscores"
        )
    yield from _refused_by_lambda(name, table)
    for key in OF_FUNCTIONS:
        if getattr(table, key):
            yield BadLayer(f"[layers.{name}] {key} is for functions only", where=where, help=f"leave {key} out")
    for architecture in table.architectures:
        if architecture not in ARCHITECTURES:
            yield BadLayer(
                f"layer {name!r} is for {architecture!r}; Lambda knows {' and '.join(ARCHITECTURES)}",
                where=where,
                help="name one of them, or both",
            )


def _refused_by_lambda(name: str, table: LayerSettings) -> Iterator[BadLayer]:
    wrong = {
        "name": bool(table.name) and not NAME.fullmatch(table.name),
        "description": len(table.description) > DESCRIPTION,
        "license": len(table.license) > LICENSE,
        "runtimes": len(table.runtimes) > RUNTIMES,
        "accounts": not all(ACCOUNT.fullmatch(identifier) for identifier in table.accounts),
        "organizations": not all(ORGANIZATION.fullmatch(identifier) for identifier in table.organizations),
    }
    for key in (key for key, is_wrong in wrong.items() if is_wrong):
        yield BadLayer(
            f"[layers.{name}] {key} is {getattr(table, key)!r}; Lambda takes {TAKEN[key]}",
            where=table.where,
            help="correct it",
        )


TAKEN = {
    "name": "up to 140 letters, digits, hyphens and underscores",
    "description": f"up to {DESCRIPTION} characters",
    "license": f"up to {LICENSE} characters",
    "runtimes": f"up to {RUNTIMES}",
    "accounts": "numbers of 12 digits in quotes",
    "organizations": "ids such as o-t194hfs8cz",
}
