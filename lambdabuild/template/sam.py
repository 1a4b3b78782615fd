"""A SAM or CloudFormation template -> Service: its functions and layers, and where their artifacts' places go."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from lambdabuild.errors import (
    BadTemplate,
    CannotReadTemplate,
    CircularReference,
    LambdaBuildError,
    NoSource,
    UnknownName,
    Unresolvable,
    raise_all,
)
from lambdabuild.model import Asset, Document, Form, Function, Layer, Options, Rewrite, Service, Skipped
from lambdabuild.spans import Node, Span
from lambdabuild.template import packaged, references
from lambdabuild.template.intrinsics import NO_VALUE, Scope, Unresolved, Value, first_unresolved, resolve, scope
from lambdabuild.template.places import property_place
from lambdabuild.template.yaml_text import parse

ARCHITECTURES = ("x86_64", "arm64")
READY = (".zip", ".jar", ".war")
"""A code location that ends so is an artifact already."""
MAKE_OPTIONS = ("ContextPath", "WorkingDirectory")
"""Metadata of a makefile function that changes where make runs."""


class Files(Protocol):
    """The project's disk; paths are relative to the project's folder."""

    def read(self, path: str) -> str:
        """A file's text with its line ends. Raises OSError, UnicodeDecodeError."""
        ...

    def kind(self, path: str) -> Literal["file", "folder", ""]: ...


@dataclass(frozen=True)
class Shape:
    """How a resource type says where its code is."""

    kind: Literal["function", "layer"]
    code: str
    form: Form
    default: str | None
    """The code folder when none is given; None when that is a mistake."""


SHAPES: Mapping[str, Shape] = {
    "AWS::Serverless::Function": Shape("function", "CodeUri", "uri", "."),
    "AWS::Lambda::Function": Shape("function", "Code", "s3", None),
    "AWS::Serverless::LayerVersion": Shape("layer", "ContentUri", "uri", "."),
    "AWS::Lambda::LayerVersion": Shape("layer", "Content", "s3", None),
}
IN_GLOBALS = {"AWS::Serverless::Function": "Function", "AWS::Serverless::LayerVersion": "LayerVersion"}


def load(
    path: str,
    files: Files,
    *,
    parameters: Mapping[str, Value] | None = None,
    stage: str = "",
    root: str = "",
    region: str = "",
) -> Service:
    """Read a template and its local nested stacks. All mistakes are raised together.

    ``root`` is the folder that relative code folders start from, instead of the template's own.
    """
    found = _Found(files, root, region)
    _read_stack(found, "", path, dict(parameters or {}), stage, ())
    raise_all(found.errors)
    return Service(
        documents=tuple(sorted(found.documents, key=lambda document: document.stack)),
        functions=tuple(found.functions),
        layers=tuple(found.layers),
        assets=tuple(found.assets),
        skipped=tuple(found.skipped),
        notes=tuple(dict.fromkeys(found.notes)),
    )


@dataclass
class _Found:
    """What has been read so far, of all stacks."""

    files: Files
    root: str
    region: str
    documents: list[Document] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[LambdaBuildError] = field(default_factory=list)


def _read_stack(
    found: _Found, stack: str, path: str, given: Mapping[str, Value], stage: str, above: tuple[tuple[str, Span], ...]
) -> None:
    text = _read(found.files, path, above[-1][1] if above else None)
    root, is_json = parse(path, text)
    names = scope(path, root, given, stack=stack, stage=stage, region=found.region)
    reader = _Stack(found, stack, path, text, is_json, root, names, above)
    reader.read()
    found.documents.append(Document(stack, path, text, is_json, tuple(reader.rewrites)))


def _read(files: Files, path: str, where: Span | None) -> str:
    try:
        return files.read(path)
    except UnicodeDecodeError as error:
        raise CannotReadTemplate(
            f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}",
            where=where or Span(path),
            mend="save it as UTF-8",
        ) from error
    except OSError as error:
        raise CannotReadTemplate(
            f"cannot read the template {path}: {error.strerror or error}",
            where=where or Span(path),
            mend="correct the path (setting template), or give yourself the right to read it",
        ) from error


class _Stack:
    """One template being read."""

    def __init__(
        self, found: _Found, stack: str, path: str, text: str, is_json: bool, root: Node, names: Scope,
        above: tuple[tuple[str, Span], ...],
    ) -> None:  # fmt: skip
        self.found, self.stack, self.path, self.text, self.is_json = found, stack, path, text, is_json
        self.root, self.names, self.above = root, names, above
        self.folder = posixpath.dirname(path)
        self.base = found.root or self.folder
        self.rewrites: list[Rewrite] = []
        is_sam = "AWS::Serverless-2016-10-31" in _transforms(root)
        self.globals = root.get("Globals") if is_sam else None

    def read(self) -> None:
        resources = self.root.get("Resources")
        if resources is None or not isinstance(resources.value, dict) or not resources.value:
            raise BadTemplate(
                "the template has no Resources",
                where=resources.span if resources else self.root.span,
                mend="describe at least one function under Resources:",
            )
        for name, node in resources.value.items():
            self.collecting(lambda name=name, node=node: self.resource(name, node, resources))
        for condition, where in self.names.places.items():
            self.collecting(lambda name=condition, where=where: self.names.condition(name, where))
        self.collecting(self.circles)
        self.rebase_globals()
        for number, location in enumerate(packaged.includes(self.root)):
            self.collecting(lambda n=number, node=location: self.asset(f"Include-{n + 1}", node, "uri"))

    def collecting(self, action: Any) -> None:
        """Go on after a mistake, so that all are told; the same mistake once."""
        try:
            action()
        except LambdaBuildError as error:
            if str(error) not in map(str, self.found.errors):
                self.found.errors += getattr(error, "errors", (error,))

    def circles(self) -> None:
        raise_all(references.circles(self.root, self.names))

    def resource(self, name: str, node: Node, resources: Node) -> None:
        where = resources.keys.get(name, node.span)
        if name.startswith("Fn::"):
            self.found.notes.append(f"{where}: {name} is expanded at deployment, so what it makes is not built")
            return
        kind = node.get("Type")
        if not isinstance(node.value, dict) or kind is None or not isinstance(kind.value, str):
            raise BadTemplate(
                f"the resource {name!r} has no Type", where=where, mend="add one, such as AWS::S3::Bucket"
            )
        properties = node.get("Properties")
        if properties is not None and not isinstance(properties.value, dict | None):
            raise BadTemplate(f"the Properties of {name!r} are no mapping", where=properties.span, mend="indent them")
        if kind.value in SHAPES:
            _Code(self, name, node, where, kind.value).read()
        elif kind.value in packaged.STACKS:
            self.nested(name, node, where, packaged.STACKS[kind.value])
        for key, value, form in packaged.properties(kind.value, node):
            self.asset(f"{name}-{key.replace('.', '-')}", value, form)

    def full(self, name: str) -> str:
        return self.names.stack + name

    def local_path(self, text: str, base: str | None = None) -> str:
        return posixpath.normpath(posixpath.join(self.base if base is None else base, text))

    def rewrite(
        self, target: str, kind: Literal["artifact", "asset", "stack", "path"], form: Form, span: Span, insert: str = ""
    ) -> None:
        self.rewrites.append(Rewrite(target, kind, form, span, insert))

    def add_asset(self, name: str, path: str, kind: str, where: Span) -> None:
        self.found.assets.append(Asset(self.full(name), path, kind == "folder", where))

    def asset(self, name: str, node: Node, form: Form) -> None:
        """A local file that a property names; what is in S3 already or not known is left alone."""
        value = resolve(node, self.names)
        if not isinstance(value, str) or not packaged.is_local(value):
            return
        path = self.local_path(value, self.folder)
        kind = self.found.files.kind(path)
        if not kind:
            raise NoSource(
                f"{name.replace('-', '.')} names {value}, which does not exist",
                where=node.span,
                mend="correct the path; it is relative to the template's folder",
            )
        self.add_asset(name, path, kind, node.span)
        self.rewrite(self.full(name), "asset", form, node.span)

    def nested(self, name: str, node: Node, where: Span, key: str) -> None:
        properties = node.get("Properties")
        location = properties.get(key) if properties is not None else None
        value = resolve(location, self.names) if location is not None else None
        if not isinstance(value, str) or not packaged.is_local(value):
            self.found.notes.append(f"{where}: the stack {name} is not a local file, so it is left as it is")
            return
        assert location is not None
        path = self.local_path(value, self.folder)
        ring = [(self.path, location.span), *self.above]
        if any(path == other for other, _ in ring):
            raise CircularReference(
                f"the stack {name!r} is the template {path}, which contains it",
                where=location.span,
                mend="a template cannot contain itself",
            )
        passed = properties.get("Parameters") if properties is not None else None
        given = resolve(passed, self.names) if passed is not None else {}
        self.rewrite(self.full(name), "stack", "uri" if key == "Location" else "template-url", location.span)
        _read_stack(
            self.found, self.full(name), path, given if isinstance(given, dict) else {}, "",
            ((self.path, location.span), *self.above),
        )  # fmt: skip

    def rebase_globals(self) -> None:
        """A code folder in Globals stays where it was, told from the folder of the output."""
        for section, key in (("Function", "CodeUri"), ("LayerVersion", "ContentUri")):
            group = self.globals.get(section) if self.globals is not None else None
            node = group.get(key) if group is not None else None
            value = resolve(node, self.names) if node is not None else None
            if node is not None and isinstance(value, str) and packaged.is_local(value):
                self.rewrite(self.local_path(value), "path", "uri", node.span)


def _transforms(root: Node) -> list[str]:
    node = root.get("Transform")
    items = [] if node is None else node.value if isinstance(node.value, list) else [node]
    return [str(item.value) for item in items]


class _Code:
    """One function or layer being read."""

    def __init__(self, stack: _Stack, name: str, node: Node, where: Span, kind: str) -> None:
        self.stack, self.name, self.node, self.where = stack, name, node, where
        self.shape = SHAPES[kind]
        section = IN_GLOBALS.get(kind, "")
        self.globals = stack.globals.get(section) if stack.globals is not None and section else None
        self.metadata = node.get("Metadata") or Node({}, where)

    @property
    def label(self) -> str:
        return f"{self.shape.kind} {self.stack.full(self.name)!r}"

    def read(self) -> None:
        reason = self.left_alone()
        code = "" if reason else self.code()
        if reason or not code:
            self.skip(reason or "its code location is known at deployment only")
        elif code.startswith("s3://"):
            self.skip("its code is in S3 already")
        elif code.startswith(packaged.REMOTE):
            self.skip("its code is elsewhere")
        else:
            self.local(self.stack.local_path(code))

    def left_alone(self) -> str:
        """Why it is not built, as far as that does not depend on where its code is."""
        if self.text("PackageType") == "Image":
            return "image functions are not built yet"
        if self.shape.kind == "function" and self.own("InlineCode") is not None:
            return "its code is inline"
        code = self.own(self.shape.code)
        for key, reason in _IN_PLACE.items():
            if code is not None and code.get(key) is not None:
                return reason
        return ""

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
        value = resolve(node, self.stack.names) if node is not None else None
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
                mend=value.mend or "give the value, or write it into the template",
            )
        if not isinstance(value, str) or not value:
            wrong = f"is {value!r}, not a text" if value is not None else "is missing"
            raise BadTemplate(
                f"the {key} of {self.label} {wrong}",
                where=node.span if node is not None else self.where,
                mend=f"add {key}, to the function or to Globals",
            )
        return value

    def code(self) -> str:
        """The code location, "" when it is not known."""
        node, value = self.property(self.shape.code), self.value(self.shape.code)
        if isinstance(value, Unresolved):
            if value.text.startswith("s3://"):
                return value.text
            if value.mend:
                raise UnknownName(
                    f"the {self.shape.code} of {self.label}: {value.reason}", where=value.where, mend=value.mend
                )
            self.stack.found.notes.append(f"{value.where}: {self.label} is left as it is: {value.reason}")
            return ""
        if node is None or value is None:
            if self.shape.default is None:
                raise BadTemplate(
                    f"the {self.shape.code} of {self.label} is missing", where=self.where, mend="add a folder's path"
                )
            return self.shape.default
        if not isinstance(value, str):
            raise BadTemplate(
                f"the {self.shape.code} of {self.label} is neither a path nor a place in S3",
                where=node.span,
                mend="write the path of a folder",
            )
        return value or "."

    def skip(self, reason: str) -> None:
        self.stack.found.skipped.append(Skipped(self.stack.full(self.name), reason, self.where))

    def place(self) -> tuple[Span, str]:
        return property_place(self.stack.text, self.stack.is_json, self.node, self.shape.code)

    def local(self, path: str) -> None:
        kind = self.stack.found.files.kind(path)
        if path.lower().endswith(READY):
            self.as_it_is(path, kind, "its artifact is ready")
        elif _is_true(self.meta("SkipBuild")):
            self.as_it_is(path, kind, "SkipBuild says so")
        else:
            self.build(path)
            self.stack.rewrite(self.stack.full(self.name), "artifact", self.shape.form, *self.place())

    def as_it_is(self, path: str, kind: str, reason: str) -> None:
        """Not built, but sent."""
        if not kind:
            node = self.property(self.shape.code)
            raise NoSource(
                f"{path} of {self.label} does not exist",
                where=node.span if node is not None else self.where,
                mend="make it first, or correct the path; it is relative to the template's folder",
            )
        self.skip(reason)
        self.stack.add_asset(self.name, path, kind, self.where)
        self.stack.rewrite(self.stack.full(self.name), "asset", self.shape.form, *self.place())

    def meta(self, key: str) -> Value:
        node = self.metadata.get(key)
        return resolve(node, self.stack.names) if node is not None else None

    def build(self, source: str) -> None:
        method = self.meta("BuildMethod")
        method = method if isinstance(method, str) else ""
        given = self.meta("ProjectRootDirectory")
        if method == "makefile" and isinstance(given, str):
            source = self.stack.local_path(given)
        if self.shape.kind == "layer":
            self.layer(source, method)
            return
        runtime, handler = self.needed("Runtime"), self.needed("Handler")
        layers, foreign = self.layers()
        self.stack.found.functions.append(
            Function(
                name=self.stack.full(self.name),
                runtime=runtime,
                architecture=self.architecture(self.value("Architectures"), "Architectures"),
                handler=handler,
                source=source,
                where=self.where,
                build_method=method,
                options=self.options(method),
                layers=layers,
                foreign_layers=foreign,
            )
        )

    def layer(self, source: str, method: str) -> None:
        given = self.meta("BuildArchitecture")
        compatible = self.value("CompatibleArchitectures")
        one = given or (compatible[:1] if isinstance(compatible, list) else None)
        runtimes = self.value("CompatibleRuntimes")
        self.stack.found.layers.append(
            Layer(
                name=self.stack.full(self.name),
                architecture=self.architecture(one, "BuildArchitecture" if given else "CompatibleArchitectures"),
                source=source,
                where=self.where,
                build_method=method,
                runtimes=tuple(item for item in runtimes if isinstance(item, str))
                if isinstance(runtimes, list)
                else (),
                options=self.options(method),
            )
        )

    def architecture(self, value: Value, key: str) -> Literal["x86_64", "arm64"]:
        missing = first_unresolved(value)
        if missing:
            raise Unresolvable(
                f"the {key} of {self.label} are not known: {missing.reason}",
                where=missing.where,
                mend="give the value, or write it into the template",
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
        given = dict(properties) if isinstance(properties, dict) else {}
        if method == "makefile":
            folders = {key: value for key in MAKE_OPTIONS if isinstance(value := self.meta(key), str)}
            given |= {key: self.stack.local_path(value) for key, value in folders.items()}
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

    def layer_values(self) -> Iterator[Value]:
        ignored = "Layers" in self.ignored_globals()
        for node in (None if ignored else self.common("Layers"), self.own("Layers")):
            value = resolve(node, self.stack.names) if node is not None else None
            yield from value if isinstance(value, list) else [value] if isinstance(value, Unresolved) else []


_IN_PLACE = {
    "ZipFile": "its code is inline",
    "S3Bucket": "its code is in S3 already",
    "S3Key": "its code is in S3 already",
    "Bucket": "its code is in S3 already",
    "ImageUri": "image functions are not built yet",
}


def _is_true(value: Value) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _is_known(value: Value) -> bool:
    return first_unresolved(value) is None
