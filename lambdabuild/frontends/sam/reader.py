"""A SAM or CloudFormation template and its nested stacks -> Service."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from lambdabuild.core.errors import (
    BadTemplate,
    CannotReadTemplate,
    CircularReference,
    LambdaBuildError,
    Unresolvable,
    raise_all,
)
from lambdabuild.core.model import Asset, Document, Form, Iteration, Rewrite, Service, Skipped
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends import loops
from lambdabuild.frontends.intrinsics import Scope, Unresolved, Value, resolve
from lambdabuild.frontends.sam import cdk, functions, packaged, references, rewrites
from lambdabuild.frontends.sam.code_resource import SHAPES, CodeResource, Files, Reading, Template
from lambdabuild.frontends.sam.layer_places import mappings_place, resources_place
from lambdabuild.frontends.sam.locations import may_be_local
from lambdabuild.frontends.scopes import scope, with_sections
from lambdabuild.frontends.yaml_text import parse

LOGICAL_ID = re.compile(r"[A-Za-z0-9]+")
"""It names folders here. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html
"""

MOST_MISTAKES = 500
"""So many are told at once."""

SERVERLESS = "AWS::Serverless-2016-10-31"
ELSEWHERE = "its template is not on this machine"


def load(
    path: str,
    files: Files,
    *,
    parameters: Mapping[str, Value] | None = None,
    stage: str = "",
    root: str = "",
    region: str = "",
    keeps_broken: bool = False,
) -> Service:
    """Read a template and its local nested stacks. All mistakes are raised together.

    ``root`` is the folder that relative code folders start from, instead of the template's own. With ``keeps_broken``
    mistakes of single functions and layers are told in the service, if there are no others.
    """
    stacks = {"": path}
    return load_stacks(
        stacks, files, parameters=parameters, stage=stage, root=root, region=region, keeps_broken=keeps_broken
    )


def load_stacks(
    stacks: Mapping[str, str],
    files: Files,
    *,
    parameters: Mapping[str, Value] | None = None,
    stage: str = "",
    root: str = "",
    region: str = "",
    keeps_broken: bool = False,
) -> Service:
    """Read several templates, by the names that their functions get in front of their own, as ``load`` reads one."""
    reading, documents = Reading(), list[Document]()
    run = _Run(files, root, region, reading, documents)
    for name, path in stacks.items():
        try:
            _read_stack(run, name, path, dict(parameters or {}), stage, ())
        except LambdaBuildError as error:
            reading.errors += getattr(error, "errors", (error,))
    attributed = {id(error) for broken in reading.broken for error in broken.errors}
    if not (keeps_broken and all(id(error) in attributed for error in reading.errors)):
        raise_all({str(error): error for error in reading.errors}.values())  # the same mistake once
    return Service(
        documents=tuple(sorted(documents, key=lambda document: document.stack)),
        functions=tuple(reading.functions),
        layers=tuple(reading.layers),
        images=tuple(reading.images),
        assets=tuple(reading.assets),
        skipped=tuple(reading.skipped),
        notes=tuple(dict.fromkeys(reading.notes)),
        warnings=tuple(dict.fromkeys(reading.warnings)),
        broken=tuple(reading.broken),
    )


class _Run(Struct, frozen=True):
    """State that all stacks of one load share."""

    files: Files
    root: str
    region: str
    reading: Reading
    documents: list[Document]


def _read_stack(
    run: _Run, stack: str, path: str, given: Mapping[str, Value], stage: str, above: tuple[tuple[str, Span], ...]
) -> None:
    text = _read(run.files, path, above[-1][1] if above else None)
    root, is_json = parse(path, text, tell_duplicate=lambda error: run.reading.warnings.append(str(error)))
    names = scope(path, root, given, stack=stack, stage=stage, region=run.region)
    place = resources_place(text, root, _layer_type(root, names))
    mappings = mappings_place(text, root) if loops.LOOP in text else None
    root, names, expanded = _without_loops(text, root, names, run.reading.warnings)
    base = run.root or posixpath.dirname(run.files.real(path))
    template = Template(text, is_json, names, base, run.files, root.get("Globals"), place is not None, expanded)
    reading = replace(run.reading, rewrites=[], layer_places=[])  # the other lists are those of the run
    _Stack(run, template, reading, path, root, above).read()
    run.documents.append(
        Document(
            stack=stack,
            path=path,
            text=text,
            is_json=is_json,
            rewrites=tuple(reading.rewrites),
            layers=tuple(reading.layer_places),
            resources=place,
            names=frozenset(key for section in ("Resources", "Parameters") for key in _keys(root.get(section))),
            mappings=mappings,
        )
    )


def _without_loops(text: str, root: Node, names: Scope, warnings: list[str]) -> tuple[Node, Scope, loops.Loops]:
    """Return the template with loops expanded, the meaning of names in it, and what is known of the loops."""
    if loops.LOOP not in text:
        return root, names, loops.Loops()
    transforms = _transforms(root, names)
    expanded, known = loops.expanded(root, names, transforms, SERVERLESS)
    if known.keys and SERVERLESS in transforms[: transforms.index(loops.TRANSFORM)]:
        where = root.keys["Transform"]
        warnings.append(f"{where}: CloudFormation refuses loops unless {loops.TRANSFORM} stands before {SERVERLESS}")
    return expanded, with_sections(names, expanded), known


def _transforms(root: Node, names: Scope) -> list[Value]:
    node = root.get("Transform")
    value = resolve(node, names) if node is not None else None
    return value if isinstance(value, list) else [value]


def _layer_type(root: Node, names: Scope) -> str:
    """Return a layer's type: SAM's where its transform is used, otherwise CloudFormation's own."""
    return "AWS::Serverless::LayerVersion" if SERVERLESS in _transforms(root, names) else "AWS::Lambda::LayerVersion"


def _keys(section: Node | None) -> Iterable[str]:
    return section.value if section is not None and isinstance(section.value, dict) else ()


def _read(files: Files, path: str, where: Span | None) -> str:
    try:
        return files.read(path)
    except UnicodeDecodeError as error:
        is_utf16 = error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise CannotReadTemplate(
            f"{path} is not UTF-8"
            + (", but UTF-16" if is_utf16 else f": byte {error.start} is {error.object[error.start]:#04x}"),
            where=where or Span(path),
            help="save it as UTF-8",
        ) from error
    except OSError as error:
        raise CannotReadTemplate(
            f"cannot read the template {path}: {error.strerror or error}",
            where=where or Span(path),
            help=f"correct the path (setting template), or fix its permissions: chmod u+r {path}",
        ) from error


class _Stack:
    """One template being read."""

    def __init__(
        self,
        run: _Run,
        template: Template,
        reading: Reading,
        path: str,
        root: Node,
        above: tuple[tuple[str, Span], ...],
    ) -> None:
        self.run, self.template, self.reading, self.path, self.root, self.above = (
            run,
            template,
            reading,
            path,
            root,
            above,
        )
        self.names, self.folder = template.names, posixpath.dirname(run.files.real(path))

    def read(self) -> None:
        resources = self.root.get("Resources")
        if resources is None or not isinstance(resources.value, dict) or not resources.value:
            raise BadTemplate(
                "the template has no Resources",
                where=resources.span if resources else self.root.span,
                help="describe at least one function under Resources:",
            )
        for name, node in resources.value.items():
            self.collecting(lambda name=name, node=node: self.resource(name, node, resources))
        for condition, where in self.names.places.items():
            self.collecting(lambda name=condition, where=where: self.names.condition(name, where))
        self.collecting(self.circles)
        self.rebase_globals()
        for number, location in enumerate(packaged.includes(self.root)):
            self.collecting(lambda n=number, node=location: self.asset(f"Include-{n + 1}", node, "uri"))
        for key, node, form in packaged.metadata(self.root):
            self.collecting(lambda key=key, node=node, form=form: self.asset(f"Metadata-{key}", node, form))

    def collecting(self, action: Any) -> None:
        """Continue after a mistake, so that all are reported."""
        try:
            action()
        except LambdaBuildError as error:
            self.reading.errors += getattr(error, "errors", (error,))
            if len(self.reading.errors) >= MOST_MISTAKES:
                raise

    def circles(self) -> None:
        raise_all(references.circles(self.root, self.names))

    def resource(self, name: str, node: Node, resources: Node) -> None:
        where = resources.keys.get(name, node.span)
        if name.startswith("Fn::"):
            self.reading.notes.append(f"{where}: {name} is expanded at deployment, so what it makes is not built")
            return
        kind = node.get("Type")
        if not isinstance(node.value, dict) or kind is None or not isinstance(kind.value, str):
            raise BadTemplate(
                f"the resource {name!r} has no Type", where=where, help="add one, such as AWS::S3::Bucket"
            )
        properties = node.get("Properties")
        if properties is not None and not isinstance(properties.value, dict | None):
            raise BadTemplate(
                f"the Properties of {name!r} are not a mapping", where=properties.span, help="indent them"
            )
        if (kind.value in SHAPES or kind.value in packaged.STACKS) and not LOGICAL_ID.fullmatch(name):
            raise BadTemplate(
                f"the logical id {name!r} is not made of letters and digits only", where=where, help="rename it"
            )
        if kind.value in SHAPES:
            functions.read(CodeResource(self.template, self.reading, name, node, where, kind.value))
        elif kind.value in packaged.STACKS:
            self.nested(name, node, where, packaged.STACKS[kind.value])
        elif kind.value not in packaged.PROPERTIES:
            self.unbuilt(name, kind.value, properties, where)
        for key, value, form in packaged.properties(kind.value, node):
            self.asset(f"{name}-{key.replace('.', '-')}", value, form, self.template.iteration(name, key, value))

    def rewrite(
        self,
        target: str,
        kind: Literal["asset", "stack", "path", "kept"],
        form: Form,
        span: Span,
        iteration: Iteration | None = None,
    ) -> None:
        self.reading.rewrites.append(Rewrite(target, kind, form, span, iteration=iteration))

    def asset(self, name: str, node: Node, form: Form, iteration: Iteration | None = None) -> None:
        """Add a local file that a property names; what is already in S3 is skipped."""
        value = resolve(node, self.names)
        if isinstance(value, Unresolved):
            self.unknown_file(name, value, form)
        if not isinstance(value, str) or not packaged.is_local(value):
            if iteration is not None:
                self.rewrite(self.template.full(name), "kept", form, node.span, iteration)
            return
        path = self.template.local_path(value, self.folder)
        is_folder = self.run.files.kind(path) == "folder"  # one that is missing is told where it is sent
        self.reading.assets.append(Asset(self.template.full(name), path, is_folder, node.span))
        self.rewrite(self.template.full(name), "asset", form, node.span, iteration)

    def unknown_file(self, name: str, value: Unresolved, form: Form) -> None:
        """Raise Unresolvable for an unknown path in SAM's own properties; skip other unknown files."""
        label = name.replace("-", ".")
        if form == "uri" and name.endswith("Uri") and may_be_local(value):
            raise Unresolvable(f"{label} is not known: {value.reason}", where=value.where, help=value.remedy)
        if packaged.is_local(value.text or "."):
            reason = "; ".join(filter(None, (f"its location is not known: {value.reason}", value.give)))
            self.reading.skipped.append(Skipped(self.template.full(label), reason, value.where, "file"))

    def unbuilt(self, name: str, kind: str, properties: Node | None, where: Span) -> None:
        """Warn that nothing is built for a resource of unknown type, although it names existing code."""
        for key, node in packaged.code(properties):
            value = resolve(node, self.names)
            is_path = isinstance(value, str) and packaged.may_be_path(value)
            if is_path and self.run.files.kind(self.template.local_path(str(value))):
                reason = f"lambdabuild builds nothing for {kind}; its {key} stays as it is"
                self.reading.skipped.append(Skipped(self.template.full(name), reason, where, "resource"))

    def nested(self, name: str, node: Node, where: Span, key: str) -> None:
        properties = node.get("Properties")
        location = properties.get(key) if properties is not None else None
        of_cdk = cdk.asset(node, key)
        named = of_cdk or location
        value = resolve(named, self.names) if named is not None else None
        iteration = self.template.iteration(name, key, location)
        if not isinstance(value, str) or not packaged.is_local(value):
            if iteration is not None and location is not None:
                self.rewrite(self.template.full(name), "kept", "template-url", location.span, iteration)
            reason = ELSEWHERE
            if isinstance(value, Unresolved) and packaged.is_local(value.text or "."):
                reason = "; ".join(filter(None, (f"its template is not known: {value.reason}", value.give)))
            self.reading.skipped.append(Skipped(self.template.full(name), reason, where, "stack"))
            return
        assert location is not None
        path = self.template.local_path(packaged.path_of(value), self.folder)
        ring = [(self.path, location.span), *self.above]
        if any(path == other for other, _ in ring):
            raise CircularReference(
                f"the stack {name!r} is the template {path}, which contains it",
                where=location.span,
                help="a template cannot contain itself",
            )
        passed = properties.get("Parameters") if properties is not None else None
        given = resolve(passed, self.names) if passed is not None else {}
        self.rewrite(self.template.full(name), "stack", "template-url", location.span, iteration)
        metadata = node.get("Metadata")
        if of_cdk is not None and metadata is not None:  # else sam deploy would take the CDK's template again
            text = rewrites.normalized(self.template, metadata, metadata.keys[f"{cdk.PREFIX}path"])
            self.reading.rewrites.append(Rewrite(self.template.full(name), "stack", "uri", of_cdk.span, text))
        _read_stack(
            self.run,
            self.template.full(name),
            path,
            given if isinstance(given, dict) else {},
            "",
            ((self.path, location.span), *self.above),
        )

    def rebase_globals(self) -> None:
        """Rewrite a code folder in Globals relative to the folder of the output."""
        for section, key in (("Function", "CodeUri"), ("LayerVersion", "ContentUri")):
            group = self.template.globals.get(section) if self.template.globals is not None else None
            node = group.get(key) if group is not None else None
            value = resolve(node, self.names) if node is not None else None
            if node is not None and isinstance(value, str) and packaged.is_local(value):
                self.rewrite(self.template.local_path(value), "path", "uri", node.span)
