"""One function or layer of a template: what it is built from, or why it is left alone, and where its place goes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lambdabuild.config.settings import with_flags
from lambdabuild.core.errors import BadTemplate, LambdaBuildError, UnknownName, Unresolvable
from lambdabuild.core.model import (
    About,
    Asset,
    Broken,
    Function,
    Layer,
    Options,
)
from lambdabuild.frontends.intrinsics import NO_VALUE, Unresolved, Value, first_unresolved, resolve
from lambdabuild.frontends.sam import bundles, images, parent_packages, references, rewrites
from lambdabuild.frontends.sam.code_resource import CodeResource, architecture
from lambdabuild.frontends.sam.layer_places import layers_place
from lambdabuild.frontends.sam.locations import INLINE, Elsewhere, code_location

READY = (".zip", ".jar", ".war")
"""A code location that ends so is an artifact already."""
SKIP_BUILD = "SkipBuild says so"
MAKE_OPTIONS = ("ContextPath", "WorkingDirectory")
"""Metadata of a makefile function that changes where make runs."""
MAKE_ROOT = "ProjectRootDirectory"
"""Metadata of a makefile function that takes the place of its code folder."""


def read(resource: CodeResource) -> None:
    try:
        _read_unless_undeployed(resource)
    except LambdaBuildError as error:
        errors = getattr(error, "errors", (error,))
        resource.reading.broken.append(Broken(resource.template.full(resource.name), resource.shape.kind, errors))
        raise


def _read_unless_undeployed(resource: CodeResource) -> None:
    try:
        _read_code(resource)
    except Unresolvable:
        if references.is_deployed(resource.node, resource.template.names):
            raise
        rewrites.skip(resource, "its condition is false, and not all of it is known")


def _read_code(resource: CodeResource) -> None:
    if resource.shape.kind == "function" and images.is_image(resource):
        images.read(resource)
        return
    inline = resource.shape.kind == "function" and resource.own("InlineCode") is not None
    code = INLINE if inline else _location(resource)
    if isinstance(code, Elsewhere):
        rewrites.skip(resource, code.reason)
    else:
        _local(resource, resource.template.local_path(code))


def _location(resource: CodeResource) -> str | Elsewhere:
    """Return the path of its code, or why nothing is built from it."""
    key = resource.shape.code
    node = resource.cdk_asset() or resource.property(key)
    value = code_location(node, resource.template.names) if node is not None else None
    if isinstance(value, Elsewhere):
        return value
    if isinstance(value, Unresolved):
        if _is_true(resource.meta("SkipBuild")):
            return Elsewhere(SKIP_BUILD)
        error = UnknownName if value.help else Unresolvable
        raise error(f"the {key} of {resource.label} is not known: {value.reason}", where=value.where, help=value.remedy)
    if value is None or value is NO_VALUE:
        if resource.shape.default is None:
            raise BadTemplate(
                f"the {key} of {resource.label} is missing", where=resource.where, help="add a folder's path"
            )
        return resource.shape.default
    if not isinstance(value, str):
        raise BadTemplate(
            f"the {key} of {resource.label} is neither a path nor a place in S3",
            where=node.span if node is not None else resource.where,
            help="write the path of a folder",
        )
    return value or "."


def _local(resource: CodeResource, path: str) -> None:
    kind = resource.template.files.kind(path)
    if path.lower().endswith(READY):
        _as_it_is(resource, path, kind, "its artifact is ready")
    elif _is_true(resource.meta("SkipBuild")) or _is_true(resource.meta("aws:asset:is-bundled")):
        _as_it_is(resource, path, kind, SKIP_BUILD)
    elif kind == "file":
        _as_it_is(resource, path, kind, "its code is a single file, which is packed as it is")
    elif resource.shape.is_web and resource.meta("BuildMethod") == bundles.ESBUILD:
        rewrites.leave_out(
            resource, f"web functions are not bundled with esbuild; its {resource.shape.code} stays as it is"
        )
    else:
        _build(resource, path)
        rewrites.add(resource, "artifact")


def _as_it_is(resource: CodeResource, path: str, kind: str, reason: str) -> None:
    """Upload the code as it is, without building."""
    node = resource.property(resource.shape.code)
    where = node.span if node is not None else resource.where
    rewrites.leave_out(resource, reason)
    resource.reading.assets.append(
        Asset(resource.template.full(resource.name), path, kind == "folder", where, is_code=True)
    )
    rewrites.add(resource, "asset")


def _build(resource: CodeResource, source: str) -> None:
    method = resource.meta("BuildMethod")
    method = method if isinstance(method, str) and method else _usual_method(resource)
    given = resource.meta(MAKE_ROOT)
    if method == "makefile" and isinstance(given, str):
        source = resource.template.local_path(given)
    if resource.shape.kind == "layer":
        _layer(resource, source, method)
        return
    runtime = resource.needed("Runtime")
    # Nothing is built from it, so it may be known at deployment only; but Lambda refuses a zip without one.
    is_open = resource.shape.is_web or isinstance(resource.value("Handler"), Unresolved)
    handler = "" if is_open else resource.needed("Handler")
    layers, foreign = _layers(resource)
    if method == bundles.ESBUILD:
        bundles.rewrites(resource)
    resource.reading.functions.append(
        Function(
            name=resource.template.full(resource.name),
            runtime=runtime,
            architecture=architecture(resource, resource.value("Architectures"), "Architectures"),
            handler=handler,
            is_bundled=method == bundles.ESBUILD and not bundles.is_looped(resource),
            handler_place=handler_node.span if (handler_node := resource.property("Handler")) else None,
            source=source,
            where=resource.where,
            build_method=method,
            options=_options(resource, method),
            layers=layers,
            foreign_layers=foreign,
            fixed_layers=_fixed_layers(resource),
            environment=_environment(resource),
        )
    )


def _usual_method(resource: CodeResource) -> str:
    """Return the usual build method. SAM runs make for custom runtimes; here a ``bootstrap`` is enough unless make is
    configured.
    """
    is_make = any(resource.metadata.get(key) is not None for key in (*MAKE_OPTIONS, MAKE_ROOT))
    is_custom = resource.shape.kind == "function" and resource.text("Runtime").startswith("provided")
    return "makefile" if is_make and is_custom else ""


def _layer(resource: CodeResource, source: str, method: str) -> None:
    given = resource.meta("BuildArchitecture")
    compatible = resource.value("CompatibleArchitectures")
    architectures = given or (compatible[:1] if isinstance(compatible, list) else None)
    runtimes = resource.value("CompatibleRuntimes")
    resource.reading.layers.append(
        Layer(
            name=resource.template.full(resource.name),
            architecture=architecture(
                resource, architectures, "BuildArchitecture" if given else "CompatibleArchitectures"
            ),
            source=source,
            where=resource.where,
            build_method=method,
            runtimes=tuple(item for item in runtimes if isinstance(item, str)) if isinstance(runtimes, list) else (),
            options=_options(resource, method),
            about=About(
                name=resource.text("LayerName"),
                description=resource.text("Description"),
                license=resource.text("LicenseInfo"),
                architectures=tuple(item for item in compatible if isinstance(item, str))
                if isinstance(compatible, list)
                else (),
            ),
        )
    )


def _options(resource: CodeResource, method: str) -> Options:
    properties = resource.meta("BuildProperties")
    given = with_flags(properties) if isinstance(properties, dict) else {}
    if method == bundles.ESBUILD and resource.shape.kind == "function":
        given = bundles.with_source_maps(given, resource)
        given = bundles.in_place(given, resource.text("Handler")) if bundles.is_looped(resource) else given
    if parent_packages.MODE in given:
        code = resource.value(resource.shape.code)
        given = parent_packages.applied(given, resource.text("Handler"), code if isinstance(code, str) else "")
    if method == "makefile":
        folders = {key: value for key in MAKE_OPTIONS if isinstance(value := resource.meta(key), str)}
        given |= {key: resource.template.local_path(value) for key, value in folders.items()}
    return tuple(sorted((name, json.dumps(value, sort_keys=True)) for name, value in given.items() if _is_known(value)))


def _layers(resource: CodeResource) -> tuple[tuple[str, ...], int]:
    """Return the service's own layers by name, those of Globals first, and the number of other layers."""
    own: list[str] = []
    foreign = 0
    for item in _layer_values(resource):
        name = item.resource if isinstance(item, Unresolved) else ""
        if name:
            own.append(name)
        else:
            foreign += 1
    return tuple(own), foreign


def _fixed_layers(resource: CodeResource) -> str:
    """Record where more layers can be named, or return why they cannot be."""
    if resource.shape.is_web:
        return "a web function has no layers"
    if resource.name in resource.template.loops.keys:
        return "an Fn::ForEach makes it, and its Layers are those of all that the loop makes"
    if not resource.template.takes_resources:
        return "the template's Resources are written in a way that cannot be added to"
    common = None if "Layers" in resource.ignored_globals() else resource.common("Layers")
    if common is not None and not isinstance(common.value, list):  # SAM joins lists; of other types one goes
        return "the Layers in Globals are not a list that is written out"
    place = layers_place(
        resource.template.text, resource.template.is_json, resource.template.full(resource.name), resource.node
    )
    if isinstance(place, str):
        return place
    resource.reading.layer_places.append(place)
    return ""


def _environment(resource: CodeResource) -> tuple[str, ...]:
    """Return the names of the function's variables, including those of Globals."""
    names: set[str] = set()
    for node in (resource.common("Environment"), resource.own("Environment")):
        variables = node.get("Variables") if node is not None else None
        names |= variables.value.keys() if variables is not None and isinstance(variables.value, dict) else set()
    return tuple(sorted(names))


def _layer_values(resource: CodeResource) -> Iterator[Value]:
    ignored = "Layers" in resource.ignored_globals()
    for node in (None if ignored else resource.common("Layers"), resource.own("Layers")):
        value = resolve(node, resource.template.names) if node is not None else None
        yield from value if isinstance(value, list) else [value] if isinstance(value, Unresolved) else []


def _is_true(value: Value) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _is_known(value: Value) -> bool:
    return first_unresolved(value) is None
