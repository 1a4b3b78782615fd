"""What `sam build` writes into a template for a function that esbuild bundles: its Handler, and NODE_OPTIONS.

Bundles lie below the folder that all entry points share, so a Handler that holds the path is shortened; and source maps
are looked at only with ``NODE_OPTIONS: --enable-source-maps``, which goes with ``Sourcemap`` either way round.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from lambdabuild.core.model import Rewrite
from lambdabuild.core.spans import Node
from lambdabuild.frontends.sam.places import is_own, pair_of, property_place

if TYPE_CHECKING:
    from lambdabuild.frontends.sam.code_resource import CodeResource

ESBUILD = "esbuild"
FLAG, VARIABLE = "--enable-source-maps", "NODE_OPTIONS"


def rewrites(resource: CodeResource) -> None:
    """Record where the template names a function's Handler and its NODE_OPTIONS."""
    if not is_looped(resource):
        _rewrite(resource, "handler", resource.node, "Properties", "Handler")
    options = _node_options(resource)
    if options is not None and FLAG not in options.split():
        _node_options_place(resource, f"{options} {FLAG}".strip())
    elif options is None:
        _cannot(resource, f"{VARIABLE} of {resource.label} is not a text that is written out")


def is_looped(resource: CodeResource) -> bool:
    """Return whether a loop makes the function, so that all functions of the loop share one Handler."""
    return resource.name in resource.template.loops.keys


def in_place(options: dict[str, object], handler: str) -> dict[str, object]:
    """Return the options that put the bundle where a Handler that cannot be shortened expects it."""
    folder, name = posixpath.split(handler)
    points = options.get("EntryPoints")
    entries = [str(point) for point in points] if isinstance(points, list) else []
    base = (
        posixpath.commonpath([posixpath.dirname(posixpath.normpath(entry)) for entry in entries]) if entries else folder
    )
    made = {posixpath.relpath(posixpath.splitext(entry)[0], base or ".") for entry in entries}
    wanted = posixpath.normpath(posixpath.join(folder, name.split(".")[0]))
    is_there = wanted in made if entries else not folder
    return options if is_there or "Outbase" in options else {**options, "Outbase": "."}


def _cannot(resource: CodeResource, why: str) -> None:
    properties = resource.meta("BuildProperties")
    if isinstance(properties, dict) and properties.get("Sourcemap"):
        resource.reading.notes.append(f"{resource.where}: {why}; for source maps let {VARIABLE} hold {FLAG}")


def wants_source_maps(resource: CodeResource) -> bool:
    """Return whether NODE_OPTIONS asks for source maps."""
    return FLAG in (_node_options(resource) or "").split()


def _node_options(resource: CodeResource) -> str | None:
    """Return its value, including that of Globals; None when it is not plain text."""
    for node in (resource.own("Environment"), resource.common("Environment")):
        for key in ("Variables", VARIABLE):
            node = node.get(key) if node is not None else None
        if node is not None:
            return node.value if isinstance(node.value, str) and node.style != "tagged" else None
    return ""


def _node_options_place(resource: CodeResource, text: str) -> None:
    environment, template = resource.own("Environment"), resource.template
    if environment is None:
        inner = pair_of(template.is_json, VARIABLE)
        value = "{" + pair_of(template.is_json, "Variables", "{" + inner + "}") + "}"
        _rewrite(resource, "node_options", resource.node, "Properties", "Environment", value, text)
        return
    variables, properties = environment.get("Variables"), resource.node.get("Properties")
    owned = [environment, *([variables] if variables is not None else [])]
    inherited = properties is not None and "Environment" in properties.inherited
    if inherited or not all(_is_written_out(template.text, node) for node in owned):
        _cannot(resource, f"the Environment of {resource.label} is not written out, or shared by an anchor")
        return
    _rewrite(resource, "node_options", environment, "Variables", VARIABLE, "{}", text)


def _is_written_out(text: str, node: Node) -> bool:
    names = node.value if isinstance(node.value, dict) else {}
    return bool(names) and is_own(text, node) and not any(name == "Ref" or name.startswith("Fn::") for name in names)


def _rewrite(
    resource: CodeResource, kind: str, parent: Node, section: str, key: str, value: str = "{}", text: str = ""
) -> None:
    template = resource.template
    span, insert = property_place(template.text, template.is_json, parent, key, section)
    pair = pair_of(template.is_json, key)
    given = pair_of(template.is_json, key, value)
    iteration = template.iteration(resource.name, key, resource.property(key) if section == "Properties" else None)
    resource.reading.rewrites.append(
        Rewrite(
            template.full(resource.name), kind, "uri", span,  # type: ignore[arg-type]  # one of its kinds
            insert.replace(pair, given, 1), given if insert else "", text, iteration,
        )
    )  # fmt: skip


def with_source_maps(options: dict[str, object], resource: CodeResource) -> dict[str, object]:
    """Return the options with ``Sourcemap`` when it is not set and NODE_OPTIONS asks for source maps."""
    names = {name.replace("_", "").lower() for name in options}
    return options if "sourcemap" in names or not wants_source_maps(resource) else {**options, "Sourcemap": True}
