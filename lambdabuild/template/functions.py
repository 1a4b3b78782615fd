"""One function or layer of a template: what it is built from, or why it is left alone, and where its place goes."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol, cast

from lambdabuild.errors import BadTemplate, LambdaBuildError, UnknownName, Unresolvable
from lambdabuild.model import (
    About,
    Asset,
    Broken,
    Form,
    Function,
    Image,
    Iteration,
    Layer,
    LayersPlace,
    Options,
    Rewrite,
    Skipped,
)
from lambdabuild.records import Struct, field
from lambdabuild.settings import with_flags
from lambdabuild.spans import Node, Span
from lambdabuild.template import bundles, images, parent_packages, references
from lambdabuild.template.intrinsics import NO_VALUE, Scope, Unresolved, Value, first_unresolved, resolve
from lambdabuild.template.layer_places import layers_place
from lambdabuild.template.locations import INLINE, Elsewhere, code_location
from lambdabuild.template.loops import Loops
from lambdabuild.template.places import pair_of, property_place

ARCHITECTURES = ("x86_64", "arm64")
READY = (".zip", ".jar", ".war")
"""A code location that ends so is an artifact already."""
SKIP_BUILD = "SkipBuild says so"
MAKE_OPTIONS = ("ContextPath", "WorkingDirectory")
"""Metadata of a makefile function that changes where make runs."""
MAKE_ROOT = "ProjectRootDirectory"
"""Metadata of a makefile function that takes the place of its code folder."""


class Files(Protocol):
    """The project's disk; paths are relative to the project's folder."""

    def read(self, path: str) -> str:
        """A file's text with its line ends. Raises OSError, UnicodeDecodeError."""
        ...

    def kind(self, path: str) -> Literal["file", "folder", ""]: ...

    def real(self, path: str) -> str:
        """Where a file is that may be a link."""
        ...


class Template(Struct, frozen=True):
    """One template as its resources see it. ``base`` is the folder that relative code folders start from."""

    text: str
    is_json: bool
    names: Scope
    base: str
    files: Files
    globals: Node | None
    takes_resources: bool = True
    """Whether resources can be added to its text."""
    loops: Loops = field(default_factory=Loops)

    def full(self, name: str) -> str:
        """A logical id led by the stacks it stands in."""
        return self.names.stack + name

    def iteration(self, name: str, key: str, node: Node | None) -> Iteration | None:
        """For whom a place is filled in that all share that a loop makes."""
        if name not in self.loops.keys:
            return None
        value = resolve(node, self.names) if node is not None else None
        written = self.text[node.span.start : node.span.end] if node is not None else ""
        is_same = not written.startswith("*") and not self.loops.identifier.search(written)
        return Iteration(self.loops.keys[name], name, key, value if isinstance(value, str) else None, is_same)

    def local_path(self, text: str, base: str | None = None) -> str:
        return posixpath.normpath(posixpath.join(self.base if base is None else base, text))


class Reading(Struct):
    """What has been read so far; ``rewrites`` and ``layer_places`` are of one template."""

    functions: list[Function] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[LambdaBuildError] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    """Whose mistakes some of the errors are."""
    rewrites: list[Rewrite] = field(default_factory=list)
    layer_places: list[LayersPlace] = field(default_factory=list)


class Shape(Struct, frozen=True):
    """How a resource type says where its code is."""

    kind: Literal["function", "layer"]
    code: str
    form: Form
    default: str | None
    """The code folder when none is given; None when that is a mistake."""
    is_web: bool = False
    """Whether it serves HTTP: an ``EntryPoint`` (a file; there is a default) is in place of a Handler. No layers."""


SHAPES: Mapping[str, Shape] = {
    "AWS::Serverless::Function": Shape("function", "CodeUri", "uri", "."),
    "AWS::Serverless::WebFunction": Shape("function", "CodeUri", "uri", ".", is_web=True),
    "AWS::Lambda::Function": Shape("function", "Code", "s3", None),
    "AWS::Serverless::LayerVersion": Shape("layer", "ContentUri", "uri", "."),
    "AWS::Lambda::LayerVersion": Shape("layer", "Content", "s3", None),
}
IN_GLOBALS = {"AWS::Serverless::Function": "Function", "AWS::Serverless::LayerVersion": "LayerVersion"}


class CodeResource:
    """One function or layer being read."""

    def __init__(self, template: Template, found: Reading, name: str, node: Node, where: Span, kind: str) -> None:
        self.template, self.found, self.name, self.node, self.where = template, found, name, node, where
        self.shape = SHAPES[kind]
        section = IN_GLOBALS.get(kind, "")
        self.globals = template.globals.get(section) if template.globals is not None and section else None
        self.metadata = node.get("Metadata") or Node({}, where)

    @property
    def label(self) -> str:
        return f"{self.shape.kind} {self.template.full(self.name)!r}"

    def read(self) -> None:
        try:
            self.read_unless_undeployed()
        except LambdaBuildError as error:
            errors = getattr(error, "errors", (error,))
            self.found.broken.append(Broken(self.template.full(self.name), self.shape.kind, errors))
            raise

    def read_unless_undeployed(self) -> None:
        try:
            self.read_code()
        except Unresolvable:
            if references.is_deployed(self.node, self.template.names):
                raise
            self.skip("its condition is false, and not all of it is known")

    def read_code(self) -> None:
        if self.shape.kind == "function" and images.is_image(self):
            images.read(self)
            return
        inline = self.shape.kind == "function" and self.own("InlineCode") is not None
        code = INLINE if inline else self.location()
        if isinstance(code, Elsewhere):
            self.skip(code.reason)
        else:
            self.local(self.template.local_path(code))

    def own(self, key: str) -> Node | None:
        properties = self.node.get("Properties")
        return properties.get(key) if properties is not None else None

    def property(self, key: str) -> Node | None:
        """A property, or what Globals give it."""
        found = self.own(key)
        return found if found is not None or key in self.ignored_globals() else self.common(key)

    def common(self, key: str) -> Node | None:
        return self.globals.get(key) if self.globals is not None else None

    def ignored_globals(self) -> tuple[str, ...]:
        """https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html"""
        node = self.node.get("IgnoreGlobals")
        if node is None:
            return ()
        if node.value == "*":
            return ("Runtime", "Handler", "CodeUri", "ContentUri", "Architectures", "Layers", "PackageType")
        return tuple(str(item.value) for item in node.value) if isinstance(node.value, list) else ()

    def value(self, key: str) -> Value:
        node = self.property(key)
        value = resolve(node, self.template.names) if node is not None else None
        return None if value is NO_VALUE else value

    def text(self, key: str) -> str:
        value = self.value(key)
        return value if isinstance(value, str) else ""

    def needed(self, key: str) -> str:
        """A property without which there is nothing to build."""
        value = self.value(key)
        node = self.property(key)
        if isinstance(value, Unresolved):
            raise Unresolvable(
                f"the {key} of {self.label} is not known: {value.reason}",
                where=value.where,
                mend=value.remedy,
            )
        if not isinstance(value, str) or not value:
            wrong = f"is {value!r}, not a text" if value is not None else "is missing"
            raise BadTemplate(
                f"the {key} of {self.label} {wrong}",
                where=node.span if node is not None else self.where,
                mend=f"add {key}, to the function or to Globals",
            )
        return value

    def cdk_asset(self) -> Node | None:
        """The folder that the CDK made an asset of; what the property names is where the CDK itself would put that."""
        path, of = self.metadata.get("aws:asset:path"), self.metadata.get("aws:asset:property")
        return path if of is not None and of.value == self.shape.code else None

    def location(self) -> str | Elsewhere:
        """The path of its code, or why nothing is built from it."""
        key = self.shape.code
        node = self.cdk_asset() or self.property(key)
        value = code_location(node, self.template.names) if node is not None else None
        if isinstance(value, Elsewhere):
            return value
        if isinstance(value, Unresolved):
            if _is_true(self.meta("SkipBuild")):
                return Elsewhere(SKIP_BUILD)
            error = UnknownName if value.mend else Unresolvable
            raise error(f"the {key} of {self.label} is not known: {value.reason}", where=value.where, mend=value.remedy)
        if value is None or value is NO_VALUE:
            if self.shape.default is None:
                raise BadTemplate(f"the {key} of {self.label} is missing", where=self.where, mend="add a folder's path")
            return self.shape.default
        if not isinstance(value, str):
            raise BadTemplate(
                f"the {key} of {self.label} is neither a path nor a place in S3",
                where=node.span if node is not None else self.where,
                mend="write the path of a folder",
            )
        return value or "."

    def skip(self, reason: str) -> None:
        if self.name in self.template.loops.keys and self.property(self.shape.code) is not None:
            self.rewrite("kept")
        self.leave_out(reason)

    def leave_out(self, reason: str) -> None:
        self.found.skipped.append(Skipped(self.template.full(self.name), reason, self.where, self.shape.kind))

    def rewrite(self, kind: Literal["artifact", "asset", "image", "kept"], key: str = "") -> None:
        """Note the place of its code's location, or of another property."""
        key = key or self.shape.code
        self.refuse_looped(key)
        span, insert = property_place(self.template.text, self.template.is_json, self.node, key)
        iteration = self.template.iteration(self.name, key, self.property(key))
        name, form = self.template.full(self.name), self.shape.form
        pair = pair_of(self.template.is_json, key) if insert else ""
        self.found.rewrites.append(Rewrite(name, kind, form, span, insert, pair, iteration=iteration))
        asset = self.cdk_asset() if key == self.shape.code else None
        if asset is not None and "aws:asset:path" in self.metadata.keys:  # else sam deploy would take the asset again
            more = self.normalized(self.metadata.keys["aws:asset:path"])
            self.found.rewrites.append(Rewrite(self.template.full(self.name), kind, "uri", asset.span, more))

    def normalized(self, key: Span) -> str:
        """The value beside this key, and after it the mark by which SAM knows that it was put into its property."""
        if self.template.is_json:
            return '{}, "SamNormalized": true'
        newline = "\r\n" if "\r\n" in self.template.text else "\n"
        is_flow = self.metadata.style == "flow"
        return "{}" + (", " if is_flow else newline + " " * (key.column - 1)) + "SamNormalized: true"

    def refuse_looped(self, key: str) -> None:
        """A property that a loop among the properties makes cannot be written for itself."""
        properties = self.node.get("Properties")
        where = properties.keys.get(key) if properties is not None else None
        if where is not None and self.template.text[where.start : where.end].strip("'\"") not in (key, ""):
            raise BadTemplate(
                f"the {key} of {self.label} is made by an Fn::ForEach among its properties",
                where=where,
                mend="write it out, beside the loop",
            )

    def local(self, path: str) -> None:
        kind = self.template.files.kind(path)
        if path.lower().endswith(READY):
            self.as_it_is(path, kind, "its artifact is ready")
        elif _is_true(self.meta("SkipBuild")) or _is_true(self.meta("aws:asset:is-bundled")):
            self.as_it_is(path, kind, SKIP_BUILD)
        elif kind == "file":
            self.as_it_is(path, kind, "its code is a single file, which is packed as it is")
        elif self.shape.is_web and self.meta("BuildMethod") == bundles.ESBUILD:
            self.leave_out(f"web functions are not bundled with esbuild; its {self.shape.code} stays as it is")
        else:
            self.build(path)
            self.rewrite("artifact")

    def as_it_is(self, path: str, kind: str, reason: str) -> None:
        """Not built, but sent."""
        node = self.property(self.shape.code)
        where = node.span if node is not None else self.where
        self.leave_out(reason)
        self.found.assets.append(Asset(self.template.full(self.name), path, kind == "folder", where, is_code=True))
        self.rewrite("asset")

    def meta(self, key: str) -> Value:
        node = self.metadata.get(key)
        return resolve(node, self.template.names) if node is not None else None

    def build(self, source: str) -> None:
        method = self.meta("BuildMethod")
        method = method if isinstance(method, str) and method else self.usual_method()
        given = self.meta(MAKE_ROOT)
        if method == "makefile" and isinstance(given, str):
            source = self.template.local_path(given)
        if self.shape.kind == "layer":
            self.layer(source, method)
            return
        runtime = self.needed("Runtime")
        # Nothing is built from it, so it may be known at deployment only; but Lambda refuses a zip without one.
        is_open = self.shape.is_web or isinstance(self.value("Handler"), Unresolved)
        handler = "" if is_open else self.needed("Handler")
        layers, foreign = self.layers()
        if method == bundles.ESBUILD:
            bundles.rewrites(self)
        self.found.functions.append(
            Function(
                name=self.template.full(self.name),
                runtime=runtime,
                architecture=self.architecture(self.value("Architectures"), "Architectures"),
                handler=handler,
                is_bundled=method == bundles.ESBUILD and not bundles.is_looped(self),
                handler_place=handler_node.span if (handler_node := self.property("Handler")) else None,
                source=source,
                where=self.where,
                build_method=method,
                options=self.options(method),
                layers=layers,
                foreign_layers=foreign,
                fixed_layers=self.fixed_layers(),
                environment=self.environment(),
            )
        )

    def usual_method(self) -> str:
        """SAM runs make for custom runtimes; here a ``bootstrap`` and the like will do, but where make is told how."""
        is_make = any(self.metadata.get(key) is not None for key in (*MAKE_OPTIONS, MAKE_ROOT))
        is_custom = self.shape.kind == "function" and self.text("Runtime").startswith("provided")
        return "makefile" if is_make and is_custom else ""

    def layer(self, source: str, method: str) -> None:
        given = self.meta("BuildArchitecture")
        compatible = self.value("CompatibleArchitectures")
        one = given or (compatible[:1] if isinstance(compatible, list) else None)
        runtimes = self.value("CompatibleRuntimes")
        self.found.layers.append(
            Layer(
                name=self.template.full(self.name),
                architecture=self.architecture(one, "BuildArchitecture" if given else "CompatibleArchitectures"),
                source=source,
                where=self.where,
                build_method=method,
                runtimes=tuple(item for item in runtimes if isinstance(item, str))
                if isinstance(runtimes, list)
                else (),
                options=self.options(method),
                about=About(
                    name=self.said("LayerName"),
                    description=self.said("Description"),
                    license=self.said("LicenseInfo"),
                    architectures=tuple(item for item in compatible if isinstance(item, str))
                    if isinstance(compatible, list)
                    else (),
                ),
            )
        )

    def said(self, key: str) -> str:
        """A property that nothing is built from: "" when it is not there, or known at deployment only."""
        value = self.value(key)
        return value if isinstance(value, str) else ""

    def architecture(self, value: Value, key: str) -> Literal["x86_64", "arm64"]:
        missing = first_unresolved(value)
        if missing:
            raise Unresolvable(
                f"the {key} of {self.label} are not known: {missing.reason}",
                where=missing.where,
                mend=missing.remedy,
            )
        items = [value] if isinstance(value, str) else value or [ARCHITECTURES[0]]
        if not isinstance(items, list) or len(items) != 1 or items[0] not in ARCHITECTURES:
            node = self.property(key) or self.metadata.get(key)
            raise BadTemplate(
                f"the {key} of {self.label} are {items!r}; Lambda knows {' and '.join(ARCHITECTURES)}",
                where=node.span if node is not None else self.where,
                mend=f"name one of them: {key}: [arm64]",
            )
        return cast('Literal["x86_64", "arm64"]', items[0])

    def options(self, method: str) -> Options:
        properties = self.meta("BuildProperties")
        given = with_flags(properties) if isinstance(properties, dict) else {}
        if method == bundles.ESBUILD and self.shape.kind == "function":
            given = bundles.with_source_maps(given, self)
            given = bundles.in_place(given, self.text("Handler")) if bundles.is_looped(self) else given
        if parent_packages.MODE in given:
            code = self.value(self.shape.code)
            given = parent_packages.applied(given, self.text("Handler"), code if isinstance(code, str) else "")
        if method == "makefile":
            folders = {key: value for key in MAKE_OPTIONS if isinstance(value := self.meta(key), str)}
            given |= {key: self.template.local_path(value) for key, value in folders.items()}
        return tuple(
            sorted((name, json.dumps(value, sort_keys=True)) for name, value in given.items() if _is_known(value))
        )

    def layers(self) -> tuple[tuple[str, ...], int]:
        """The service's own layers by name, in order, and how many others; those of Globals come first."""
        own: list[str] = []
        foreign = 0
        for item in self.layer_values():
            name = item.resource if isinstance(item, Unresolved) else ""
            if name:
                own.append(name)
            else:
                foreign += 1
        return tuple(own), foreign

    def fixed_layers(self) -> str:
        """Notes where more layers are named; gives why they cannot be."""
        if self.shape.is_web:
            return "a web function has no layers"
        if self.name in self.template.loops.keys:
            return "an Fn::ForEach makes it, and its Layers are those of all that the loop makes"
        if not self.template.takes_resources:
            return "the template's Resources are written in a way that cannot be added to"
        common = None if "Layers" in self.ignored_globals() else self.common("Layers")
        if common is not None and not isinstance(common.value, list):  # SAM joins lists; of other types one goes
            return "the Layers in Globals are not a list that is written out"
        place = layers_place(self.template.text, self.template.is_json, self.template.full(self.name), self.node)
        if isinstance(place, str):
            return place
        self.found.layer_places.append(place)
        return ""

    def environment(self) -> tuple[str, ...]:
        """The names of the function's variables, those of Globals too."""
        names: set[str] = set()
        for node in (self.common("Environment"), self.own("Environment")):
            variables = node.get("Variables") if node is not None else None
            names |= variables.value.keys() if variables is not None and isinstance(variables.value, dict) else set()
        return tuple(sorted(names))

    def layer_values(self) -> Iterator[Value]:
        ignored = "Layers" in self.ignored_globals()
        for node in (None if ignored else self.common("Layers"), self.own("Layers")):
            value = resolve(node, self.template.names) if node is not None else None
            yield from value if isinstance(value, list) else [value] if isinstance(value, Unresolved) else []


def _is_true(value: Value) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _is_known(value: Value) -> bool:
    return first_unresolved(value) is None
