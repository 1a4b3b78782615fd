"""A serverless.yml -> Service: variables resolved, checked against its schema, and what each function is built from."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any, cast

from lambdabuild.core import naming
from lambdabuild.core.errors import BadConfiguration, BadFunction, LambdaBuildError, NoSource, SourceFailed, raise_all
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import (
    About,
    Asset,
    Definition,
    Function,
    Globs,
    Image,
    Layer,
    Options,
    Service,
    Skipped,
    Tagged,
)
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Span, from_data, to_data
from lambdabuild.frontends import images, loops
from lambdabuild.frontends.scopes import scope
from lambdabuild.frontends.serverless import package_patterns
from lambdabuild.frontends.serverless.plugins import before, known
from lambdabuild.frontends.serverless.plugins import read as plugins
from lambdabuild.frontends.serverless.plugins.options import Files, Packing
from lambdabuild.frontends.serverless.schema import Mistake, check
from lambdabuild.frontends.serverless.variables.resolver import Resolver
from lambdabuild.frontends.serverless.variables.sources import JAVASCRIPT, sources
from lambdabuild.frontends.yaml_text import parse

DEFAULT_STAGE, DEFAULT_REGION, DEFAULT_RUNTIME = "dev", "us-east-1", "nodejs16.x"
"""What the Serverless Framework takes when nothing is said."""

NEVER = ("serverless.yml", "serverless.yaml", "serverless.json", "serverless.js", "serverless.ts", "serverless.cjs",
         "serverless.mjs", "lambdabuild.toml", "dodo.py", ".doit.db*", ".gitignore", ".serverless_plugins/**",
         "npm-debug.log", "yarn-*.log")  # fmt: skip
"""What is left out of a service's folder, beside what is left out of every source."""

VERSION_4 = re.compile(r"[\s^~=v>]*4(\.|\s|$)")
"""A ``frameworkVersion``."""

UNNEEDED = ("custom", "params", "stages")
"""Sections that are there to be referred to."""


class Given(Struct, frozen=True):
    """What was given for this run: ``stage`` and ``region`` are "" when they were not."""

    stage: str = ""
    region: str = ""
    options: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None
    build_dir: str = "build"
    """Where zips are written; relative to the project."""
    plugins_ignored: tuple[str, ...] = ()
    """Plugins without whose work the template is right; ``*`` stands for any text."""


def load(path: str, text: str, files: Files, outside: before.Outside, given: Given) -> Service:
    """Read a serverless.yml (or .json, .js, .ts); all mistakes of a kind are raised together."""
    return read(path, _parsed(path, text, outside), files, outside, given)


def read(path: str, root: Node, files: Files, outside: before.Outside, given: Given) -> Service:
    """The same of one that is parsed already."""
    return _Reading(path, root, files, outside, given).service()


def _parsed(path: str, text: str, outside: before.Outside) -> Node:
    if not path.endswith(JAVASCRIPT):
        return parse(path, text, core_schema=True)[0]
    try:
        data = outside.javascript(path, "", lambda kind, what: None)
    except SourceFailed as error:
        raise BadConfiguration(f"{path}: {error.message}", where=Span(path), help=error.help) from error
    if not isinstance(data, dict):
        raise BadConfiguration(f"{path} exports no mapping", where=Span(path), help="export the configuration")
    return from_data(data, Span(path))


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a serverless.yml, for checks and for editors; nobody may change it."""
    return cast("dict[str, Any]", json.loads(schema_text()))


def schema_text() -> str:
    with open(os.path.join(os.path.dirname(__file__), "schema.json"), encoding="utf-8") as stream:
        return stream.read()


def is_version_4(root: Node) -> bool:
    """Whether a service is for version 4: it says so, or has a section that only that knows."""
    version = root.get("frameworkVersion")
    said = str(version.value) if version is not None else ""
    return VERSION_4.match(said) is not None or (not said and any(root.get(key) for key in ("stages", "build")))


class _Reading:
    """One serverless.yml being read."""

    def __init__(self, path: str, root: Node, files: Files, outside: before.Outside, given: Given) -> None:
        self.path, self.files, self.outside, self.given = path, files, outside, given
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.resolver = Resolver(root, sources(outside, self))

    # what variables may ask

    @property
    def options(self) -> Mapping[str, str]:
        named = {"stage": self.given.stage, "region": self.given.region}
        return {**(self.given.options or {}), **{name: value for name, value in named.items() if value}}

    @property
    def params(self) -> Mapping[str, str]:
        return self.given.params or {}

    def stage(self) -> str:
        return self.given.stage or self._said("stage") or DEFAULT_STAGE

    def region(self) -> str:
        return self.given.region or self._said("region") or DEFAULT_REGION

    def _said(self, key: str) -> str:
        node = self.resolver.at(("provider", key))
        return node.value if node is not None and isinstance(node.value, str) else ""

    # the story

    def service(self) -> Service:
        self.dotenv()
        raw = self.resolver.root
        root = self.merged(self.resolver.whole(UNNEEDED))
        self.refuse_what_is_no_service(root)
        root, notes = before.changed(root, self.resolver.at, self.given.plugins_ignored, self.outside, self.options)
        self.notes += notes
        root = self.checked(root)
        base, build_dir = posixpath.dirname(self.path), self.given.build_dir
        found = plugins.read(root, raw, self.resolver.at, base, self.stage(), self.files, build_dir)
        raise_all(found.errors())
        with_layers = found.with_layers(root)
        root = found.with_source_maps(root if with_layers is root else self.checked(with_layers))
        raise_all([*self.functions_without_handler(root), *self.wrong_loops(root)])
        reader = _Builds(self, cast("dict[str, Any]", to_data(root)), root, found)
        raise_all(reader.errors())
        return Service(
            documents=(),
            functions=tuple(reader.functions),
            layers=tuple(reader.layers),
            images=tuple(reader.images),
            assets=tuple(reader.assets),
            skipped=tuple(reader.skipped),
            warnings=tuple(dict.fromkeys(self.warnings)),
            notes=tuple(dict.fromkeys([*self.notes, *found.notes(), *reader.notes])),
            settings=dict(sorted(reader.settings.items())),
            definition=Definition(self.path, root, self.stage(), self.region(), dict(sorted(reader.artifacts.items()))),
        )

    def dotenv(self) -> None:
        """Version 3 loads one file when it is asked to, version 4 both unless it is told not to."""
        files = [f".env.{self.stage()}", ".env"]
        wanted = self.resolver.at(("useDotenv",))
        if wanted is None and is_version_4(self.resolver.root):
            self.outside.load_dotenv(*files)
        elif wanted is not None and wanted.value is True:
            self.outside.load_dotenv(next((file for file in files if self.outside.text(file) is not None), ".env"))

    def merged(self, root: Node) -> Node:
        """``functions`` and ``resources`` may be lists of mappings, which are merged in order."""
        value = dict(cast("dict[str, Node]", root.value))
        for key in ("functions", "resources"):
            node = value.get(key)
            if node is None or not isinstance(node.value, list):
                continue
            parts = [part for part in node.value if part.value]
            wrong = [part for part in parts if not isinstance(part.value, dict)]
            if wrong:
                raise BadConfiguration(
                    f"{key} is a list with an item that is no mapping",
                    where=wrong[0].span,
                    help=f"let every item of {key} be a mapping, or file() one",
                    known_as="LEGACY_CONFIGURATION_PROPERTY_MERGE_INVALID_INPUT",
                )
            found = Node({}, node.span, "flow")
            for part in parts:
                found = _merge(found, part)
            value[key] = found
        functions = value.get("functions")
        if functions is not None and isinstance(functions.value, dict):
            there = {name: one for name, one in functions.value.items() if one.value is not None}
            value["functions"] = replace(functions, value=there)
        return replace(root, value=value)

    def refuse_what_is_no_service(self, root: Node) -> None:
        for key, known_as in (("service", "SERVICE_NAME_MISSING"), ("provider", "PROVIDER_NAME_MISSING")):
            node = root.get(key)
            if node is None or node.value in (None, ""):
                raise BadConfiguration(f"{key} is missing", where=root.span, help=f"add {key}:", known_as=known_as)
        service, provider, functions = root.get("service"), root.get("provider"), root.get("functions")
        if service is not None and isinstance(service.value, dict):
            raise BadConfiguration(
                "service is a mapping",
                where=service.span,
                help="write its name alone",
                known_as="SERVICE_OBJECT_NOTATION",
            )
        name = provider.get("name") if provider is not None else None
        told = name.value if name is not None else provider.value if provider is not None else ""
        if isinstance(told, str) and told != "aws":
            raise BadConfiguration(
                f"the provider is {told!r}; lambdabuild builds for aws only",
                where=(name or provider or root).span, help="write name: aws",
            )  # fmt: skip
        if functions is not None and functions.value is not None and not isinstance(functions.value, dict):
            raise BadConfiguration(
                "functions is no mapping", where=functions.span, help="name each function",
                known_as="NON_OBJECT_FUNCTIONS_CONFIGURATION",
            )  # fmt: skip
        for key, one in (cast("dict[str, Node]", functions.value) if functions and functions.value else {}).items():
            if not isinstance(one.value, dict):
                raise BadConfiguration(
                    f"function {key!r} is no mapping", where=one.span, help="give it a handler",
                    known_as="NON_OBJECT_FUNCTION_CONFIGURATION_ERROR",
                )  # fmt: skip

    def checked(self, root: Node) -> Node:
        """Every value as the schema wants it.

        ``configValidationMode`` says whether a mistake is a warning (as when nothing is said), an error, or nothing at
        all. One that no template can be made of is always an error: nobody would know what was left out of it.
        """
        provider = root.get("provider")
        if provider is not None and isinstance(provider.value, str):  # provider: aws
            root = replace(root, value={**cast("dict[str, Node]", root.value),
                                        "provider": replace(provider, value={"name": provider})})  # fmt: skip
        found, mistakes = check(root, schema())
        mode, listed = root.get("configValidationMode"), known.listed(root)
        unused = list(known.not_listed(root, listed, [known.ROLES] if is_version_4(root) else []))
        mistakes = (*mistakes, *unused)
        foreign = [m for m in mistakes if known.is_of_a_plugin(m.path, bool(m.unknown), listed)]
        is_strict, is_silent = (mode is not None and mode.value == word for word in ("error", "off"))
        ours = [mistake for mistake in mistakes if mistake not in foreign]
        raise_all(_as_error(mistake) for mistake in ours if is_strict or mistake.is_structural)
        if not is_silent:
            self.warnings += map(_told, ours)
            self.notes += map(_told, foreign)
        for mistake in (*unused, *(one for one in foreign if not one.unknown)):
            found = known.without(found, mistake.path)
        return found

    def wrong_loops(self, root: Node) -> list[LambdaBuildError]:
        """Mistakes in each Fn::ForEach of the service's own resources; they stay loops."""
        own = root.get("resources")
        if own is None or loops.first_loop(own) is None:
            return []
        transform = own.get("Transform")
        given = to_data(transform) if transform is not None else []
        names = scope(self.path, own, {}, region=self.region())
        return loops.mistakes(own, names, given if isinstance(given, list) else [given])

    def functions_without_handler(self, root: Node) -> Iterator[LambdaBuildError]:
        functions = root.get("functions")
        for key, one in (cast("dict[str, Node]", functions.value or {}) if functions is not None else {}).items():
            handler, image = one.get("handler"), one.get("image")
            has_handler = handler is not None and bool(handler.value)
            has_image = image is not None and bool(image.value)
            place = cast("Node", functions).keys.get(key, one.span)
            if not has_handler and not has_image:
                yield BadFunction(
                    f"function {key!r} has neither a handler nor an image",
                    where=place, help="add handler: file.function",
                    known_as="FUNCTION_NEITHER_HANDLER_NOR_IMAGE_DEFINED_ERROR",
                )  # fmt: skip
            if has_handler and has_image:
                yield BadFunction(
                    f"function {key!r} has both a handler and an image", where=place, help="remove one of them",
                    known_as="FUNCTION_BOTH_HANDLER_AND_IMAGE_DEFINED_ERROR",
                )  # fmt: skip


def _merge(one: Node, other: Node) -> Node:
    """Deep: mappings are joined, lists item by item, anything else is replaced."""
    if isinstance(one.value, dict) and isinstance(other.value, dict):
        both = dict(one.value)
        for key, node in other.value.items():
            both[key] = _merge(both[key], node) if key in both else node
        return replace(one, value=both, keys={**one.keys, **other.keys})
    if isinstance(one.value, list) and isinstance(other.value, list):
        longer = [*other.value, *one.value[len(other.value) :]]
        items = [_merge(a, b) for a, b in zip(one.value, other.value, strict=False)]
        return replace(one, value=[*items, *longer[len(items) :]])
    return other


def _as_error(mistake: Mistake) -> BadConfiguration:
    return BadConfiguration(
        f"{'.'.join(mistake.path) or 'the file'} {mistake.message}",
        where=mistake.where,
        help=mistake.help
        or ("correct it" if mistake.is_structural else "correct it, or set configValidationMode: warn"),
        known_as="INVALID_NON_SCHEMA_COMPLIANT_CONFIGURATION",
    )


def _told(mistake: Mistake) -> str:
    told = f"{mistake.where}: {'.'.join(mistake.path) or 'the file'} {mistake.message}"
    return f"{told}; {mistake.help}" if mistake.help else told


class _Builds:
    """What each function and layer of a checked configuration is built from."""

    def __init__(self, reading: _Reading, data: dict[str, Any], root: Node, found: plugins.Plugins) -> None:
        self.reading, self.data, self.root, self.plugins = reading, data, root, found
        self.functions: list[Function] = []
        self.layers: list[Layer] = []
        self.images: list[Image] = []
        self.assets: list[Asset] = []
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []
        self.artifacts: dict[str, str] = {}
        self.settings: dict[str, FunctionSettings] = {}
        self.wrong: list[LambdaBuildError] = []

    def errors(self) -> list[LambdaBuildError]:
        """Read everything; gives what is wrong with it."""
        for key in self.data.get("functions") or {}:
            self.function(key)
        for key in self.data.get("layers") or {}:
            self.layer(key)
        return self.wrong

    @cached_property
    def base(self) -> str:
        return posixpath.dirname(self.reading.path) or "."

    def local(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.base, path))

    def place(self, section: str, key: str) -> Span:
        node = self.root.get(section)
        return node.keys.get(key, node.span) if node is not None else self.root.span

    @property
    def package(self) -> dict[str, Any]:
        return self.data.get("package") or {}

    def function(self, key: str) -> None:
        config = self.data["functions"][key]
        where = self.place("functions", key)
        own = config.get("package") or {}
        alone = bool(own.get("individually") or self.package.get("individually"))
        ready = own.get("artifact") or ("" if own.get("individually") else self.package.get("artifact") or "")
        if config.get("image"):
            self.image(key, config, where)
            return
        packing = self.plugins.of_function(config, self.runtime(config), alone)
        if ready and not packing.is_made:
            self.as_it_is("function", key, ready, where)
            return
        if own.get("patterns") and not alone and not packing.is_whole:
            self.notes.append(f"{where}: the patterns of function {key!r} have no effect without package.individually")
        self.built(key, config, packing, own if alone else {}, where)

    def runtime(self, config: Mapping[str, Any]) -> str:
        return config.get("runtime") or self.data["provider"].get("runtime") or DEFAULT_RUNTIME

    def built(self, key: str, config: dict[str, Any], packing: Packing, own: dict[str, Any], where: Span) -> None:
        source = packing.source or self.local(config.get("module") or ".")
        refs, foreign = self.layers_of(config)
        globs = Globs(self.globs(own, layers=True), "" if source == "." else posixpath.relpath(source, self.base))
        self.functions.append(
            Function(
                name=key,
                runtime=self.runtime(config),
                build_method="esbuild" if packing.bundled is not None else "",
                architecture=config.get("architecture") or self.data["provider"].get("architecture") or "x86_64",
                handler=config["handler"],
                handler_place=self.handler_place(key),
                source=source,
                where=where,
                options=self.options(packing.bundled or {}),
                layers=refs,
                foreign_layers=foreign,
                fixed_layers="Lambda@Edge takes no layers" if _is_at_edge(config) else "",
                environment=self.variables(config),
                globs=Globs() if packing.is_whole else globs,
                plain=True,
                extras=tuple(map(package_patterns.tidy, packing.extras)) or package_patterns.from_above(globs.lines),
            )
        )
        self.settings[key] = packing.settings
        self.artifacts[f"function:{key}"] = key

    def handler_place(self, key: str) -> Span | None:
        node: Node | None = self.root
        for name in ("functions", key, "handler"):
            node = node.get(name) if node is not None else None
        return node.span if node is not None else None

    def variables(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of a function's variables, those of the provider too."""
        named = (one.get("environment") or {} for one in (self.data["provider"], config))
        return tuple(sorted({name for environment in named for name in environment}))

    def image(self, key: str, config: dict[str, Any], where: Span) -> None:
        """An image of ``provider.ecr.images`` or of a registry; what is wrong with its name the compiler tells."""
        given = config["image"]
        name = (given.get("uri") or given.get("name") or "") if isinstance(given, dict) else given
        known = ((self.data["provider"].get("ecr") or {}).get("images") or {}).get(name, name)
        key_of_text = "uri" if naming.ECR_URI.match(str(known)) else "path"
        described = known if isinstance(known, dict) else {key_of_text: known}
        if described.get("uri"):
            self.tagged(key, str(described["uri"]), where)
        elif described.get("path") and known is not name:
            self.image_to_build(key, config, name, described, where)

    def tagged(self, key: str, uri: str, where: Span) -> None:
        if "@" in uri:
            self.skipped.append(Skipped(key, "its image is in a registry already", where))
            return
        self.images.append(Image(key, Tagged(uri), where))
        self.artifacts[f"image:{key}"] = key

    def image_to_build(
        self, key: str, config: dict[str, Any], name: str, described: Mapping[str, Any], where: Span
    ) -> None:
        provider = self.data["provider"]
        architecture = config.get("architecture") or provider.get("architecture") or "x86_64"
        at = _image_place(self.root, name) or where
        try:
            recipe = images.recipe(
                f"function {key!r}", at, self.reading.files,
                context=self.local(described["path"]),
                dockerfile=described.get("file") or "",
                platform=described.get("platform") or images.PLATFORMS[architecture],
                arguments=described.get("buildArgs") or {},
                options=described.get("buildOptions") or (),
                cache_from=described.get("cacheFrom") or (),
                provenance=described.get("provenance") or "",
                known_as="DOCKERFILE_NOT_AVAILABLE_ERROR",
            )  # fmt: skip
        except LambdaBuildError as error:
            self.wrong.append(error)
            return
        repository = "ecr:" + naming.repository(str(self.data["service"]), self.reading.stage())
        self.images.append(Image(key, recipe, at, push_tags=(name,), repository=repository))
        self.artifacts[f"image:{key}"] = key

    def options(self, bundled: Mapping[str, Any]) -> Options:
        """What of the other tools' own settings a rule understands."""
        found: dict[str, Any] = dict(bundled)
        if self.package.get("excludeDevDependencies") is False:
            found["include"] = ["dev"]
        return tuple(sorted((name, json.dumps(value)) for name, value in found.items()))

    def layers_of(self, config: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
        """Its own service's layers by their names in the plan, and how many others."""
        given = config.get("layers") or self.data["provider"].get("layers") or []
        own, ids = list[str](), {naming.layer(key): key for key in self.data.get("layers") or {}}
        for item in given:
            reference = item.get("Ref") if isinstance(item, dict) else None
            if reference in ids:
                own.append(self.layer_name(ids[reference]))
        return tuple(own), len(given) - len(own)

    def layer_name(self, key: str) -> str:
        """A layer's name in the plan: its key, unless a function has that."""
        name = key
        while name in (self.data.get("functions") or {}):
            name += "Layer"
        return name

    def layer(self, key: str) -> None:
        config = self.data["layers"][key] or {}
        where = self.place("layers", key)
        own = config.get("package") or {}
        if own.get("artifact"):
            self.as_it_is("layer", key, own["artifact"], where)
            return
        if not config.get("path"):
            self.wrong.append(
                BadFunction(f"layer {key!r} has neither a path nor a package.artifact", where=where, help="add path:")
            )
            return
        made = self.plugins.makes_layer(key)
        usual = self.data["provider"].get("architecture") if made else None
        architectures = config.get("compatibleArchitectures") or [usual or "x86_64"]
        name = self.layer_name(key)
        self.layers.append(
            Layer(
                name=name,
                architecture=architectures[0],
                source=self.local(config["path"]),
                where=where,
                build_method=self.runtime({}) if made else "",
                runtimes=tuple(config.get("compatibleRuntimes") or ()),
                about=About(
                    name=config.get("name") or key,
                    description=config.get("description") or "",
                    license=config.get("licenseInfo") or "",
                    architectures=tuple(config.get("compatibleArchitectures") or ()),
                    accounts=tuple(config.get("allowedAccounts") or ()),
                ),
                # A layer of packages has nothing of the service's own files.
                globs=Globs(("!**",)) if made else Globs(self.globs(own, layers=False)),
            )
        )
        self.settings[name] = self.plugins.of_layer(key).settings
        self.artifacts[f"layer:{key}"] = name

    def as_it_is(self, kind: str, key: str, artifact: str, where: Span) -> None:
        """An artifact that was made elsewhere; the same file is sent once, whoever has it."""
        name = self.layer_name(key) if kind == "layer" else key
        if artifact.startswith(("s3://", "https://")):
            self.skipped.append(Skipped(name, "its code is in S3 already", where))
            self.artifacts[f"{kind}:{key}"] = _s3_address(artifact)
            return
        path = self.local(artifact)
        self.skipped.append(Skipped(name, "its artifact is ready", where))
        same = next((asset.name for asset in self.assets if asset.source == path), "")
        self.artifacts[f"{kind}:{key}"] = same or name
        if same:
            return
        if self.reading.files.kind(path) != "file":
            self.wrong.append(
                NoSource(
                    f"the artifact {artifact} of {kind} {key!r} is not there",
                    where=where,
                    help="make it first, or correct package.artifact",
                    known_as="INVALID_PACKAGE_ARTIFACT_PATH",
                )
            )
        self.assets.append(Asset(name, path, False, where))

    def globs(self, own: Mapping[str, Any], *, layers: bool) -> tuple[str, ...]:
        """Exclusions first, then what brings back, as the Serverless Framework orders them."""
        excluded = [*NEVER, *self.local_plugins(), *(self.package.get("exclude") or ())]
        if layers:
            given = {key: (one or {}).get("path") for key, one in (self.data.get("layers") or {}).items()}
            folders = [path for key, path in given.items() if path and not self.plugins.makes_layer(key)]
            excluded += [f"{posixpath.normpath(path)}/**" for path in folders]
        excluded += [".env*"] if self.data.get("useDotenv", is_version_4(self.root)) else []
        excluded += own.get("exclude") or ()
        included: Iterable[str] = (
            *(self.package.get("include") or ()), *(self.package.get("patterns") or ()),
            *(own.get("include") or ()), *(own.get("patterns") or ()),
        )  # fmt: skip
        return package_patterns.globs(excluded, included)

    def local_plugins(self) -> list[str]:
        plugins = self.data.get("plugins")
        path = plugins.get("localPath") if isinstance(plugins, dict) else None
        return [f"{posixpath.normpath(path)}/**"] if path else []


def _is_at_edge(config: Mapping[str, Any]) -> bool:
    return any(isinstance(event, Mapping) and "cloudFront" in event for event in config.get("events") or ())


def _image_place(root: Node, name: str) -> Span | None:
    """Where an image of ``provider.ecr.images`` is described."""
    node: Node | None = root
    for key in ("provider", "ecr", "images"):
        node = node.get(key) if node is not None else None
    return node.keys.get(name) if node is not None else None


def _s3_address(artifact: str) -> str:
    """``s3://bucket/key`` of any of S3's addresses.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    if artifact.startswith("s3://"):
        return artifact
    host, _, path = artifact.removeprefix("https://").partition("/")
    if host.startswith(("s3.", "s3-")):
        return f"s3://{path}"
    return f"s3://{host.partition('.s3')[0]}/{path}"
