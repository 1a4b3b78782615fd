"""A function or layer of a template being read: its properties, including those of Globals."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Literal, Protocol, cast

from lambdabuild.core.errors import BadTemplate, LambdaBuildError, Unresolvable
from lambdabuild.core.model import (
    Asset,
    Broken,
    Form,
    Function,
    Image,
    Iteration,
    Layer,
    LayersPlace,
    Rewrite,
    Skipped,
)
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.intrinsics import NO_VALUE, Scope, Unresolved, Value, first_unresolved, resolve
from lambdabuild.frontends.loops import Loops
from lambdabuild.frontends.sam import cdk

ARCHITECTURES = ("x86_64", "arm64")


class Files(Protocol):
    """The project's disk; paths are relative to the project's folder."""

    def read(self, path: str) -> str:
        """A file's text with its line ends. Raises OSError, UnicodeDecodeError."""
        ...

    def kind(self, path: str) -> Literal["file", "folder", ""]: ...

    def real(self, path: str) -> str:
        """Return where a link leads to; any other path unchanged."""
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
    """True if resources can be added to its text."""
    loops: Loops = field(default_factory=Loops)

    def full(self, name: str) -> str:
        """Return a logical id with the stacks it is in before it."""
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
    """Everything read so far; ``rewrites`` and ``layer_places`` are of one template."""

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
    """True if it serves HTTP: an ``EntryPoint`` (a file; there is a default) is in place of a Handler. No layers."""


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

    def __init__(self, template: Template, reading: Reading, name: str, node: Node, where: Span, kind: str) -> None:
        self.template, self.reading, self.name, self.node, self.where = template, reading, name, node, where
        self.shape = SHAPES[kind]
        section = IN_GLOBALS.get(kind, "")
        self.metadata = node.get("Metadata") or Node({}, where)
        self._own = _properties(node.get("Properties"))
        self._common = _properties(template.globals.get(section) if template.globals is not None and section else None)
        self._ignored = self.ignored_globals()

    @property
    def label(self) -> str:
        return f"{self.shape.kind} {self.template.full(self.name)!r}"

    def own(self, key: str) -> Node | None:
        return self._own.get(key)

    def property(self, key: str) -> Node | None:
        """Return a property of the resource, otherwise of Globals."""
        own = self._own.get(key)
        return own if own is not None or key in self._ignored else self._common.get(key)

    def common(self, key: str) -> Node | None:
        return self._common.get(key)

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
        """Return a property without which nothing can be built."""
        value = self.value(key)
        node = self.property(key)
        if isinstance(value, Unresolved):
            raise Unresolvable(
                f"the {key} of {self.label} is not known: {value.reason}",
                where=value.where,
                help=value.remedy,
            )
        if not isinstance(value, str) or not value:
            wrong = f"is {value!r}, not a text" if value is not None else "is missing"
            raise BadTemplate(
                f"the {key} of {self.label} {wrong}",
                where=node.span if node is not None else self.where,
                help=f"add {key}, to the function or to Globals",
            )
        return value

    def cdk_asset(self) -> Node | None:
        """Return the path from which the CDK made an asset; the property itself names the CDK's copy."""
        return cdk.asset(self.node, self.shape.code)

    def meta(self, key: str) -> Value:
        node = self.metadata.get(key)
        return resolve(node, self.template.names) if node is not None else None


def _properties(node: Node | None) -> Mapping[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def architecture(resource: CodeResource, value: Value, key: str) -> Literal["x86_64", "arm64"]:
    """Return the one architecture that a property names; x86_64 when it names none. Raises LB104, LB106."""
    missing = first_unresolved(value)
    if missing:
        raise Unresolvable(
            f"the {key} of {resource.label} are not known: {missing.reason}",
            where=missing.where,
            help=missing.remedy,
        )
    items = [value] if isinstance(value, str) else value or [ARCHITECTURES[0]]
    if not isinstance(items, list) or len(items) != 1 or items[0] not in ARCHITECTURES:
        node = resource.property(key) or resource.metadata.get(key)
        raise BadTemplate(
            f"the {key} of {resource.label} are {items!r}; Lambda knows {' and '.join(ARCHITECTURES)}",
            where=node.span if node is not None else resource.where,
            help=f"name one of them: {key}: [arm64]",
        )
    return cast('Literal["x86_64", "arm64"]', items[0])
