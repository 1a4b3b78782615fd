"""A configuration -> what each function, layer and image is built from."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from lambdabuild.core import naming
from lambdabuild.core.errors import BadFunction, LambdaBuildError, NoSource
from lambdabuild.core.model import About, Asset, DockerBuild, Function, Globs, Image, Layer, Options, Skipped, Tagged
from lambdabuild.core.spans import Span
from lambdabuild.frontends import images
from lambdabuild.frontends.serverless import package_patterns
from lambdabuild.frontends.serverless.configuration import Collected, Configuration, Section
from lambdabuild.frontends.serverless.plugins.options import Packing
from lambdabuild.frontends.serverless.sections import is_version_4


def collect(configuration: Configuration) -> Collected:
    """Read all functions and layers; mistakes are collected in ``errors``."""
    collected = Collected()
    for key in configuration.functions:
        _add_function(configuration, key, collected)
    for key in configuration.layers:
        _add_layer(configuration, key, collected)
    return collected


def _add_function(configuration: Configuration, key: str, collected: Collected) -> None:
    config, package = configuration.functions[key], configuration.package
    where = configuration.place("functions", key)
    own = config.get("package") or {}
    is_alone = bool(own.get("individually") or package.get("individually"))
    artifact = own.get("artifact") or ("" if own.get("individually") else package.get("artifact") or "")
    if config.get("image"):
        _add_image(configuration, key, where, collected)
        return
    packing = configuration.plugins.of_function(config, configuration.runtime(config), is_alone)
    if artifact and not packing.is_made:
        _add_artifact(configuration, "function", key, artifact, collected)
        return
    if own.get("patterns") and not is_alone and not packing.is_whole:
        collected.notes.append(f"{where}: the patterns of function {key!r} have no effect without package.individually")
    collected.functions.append(_function(configuration, key, packing, own if is_alone else {}))
    collected.settings[key] = packing.settings
    collected.artifacts[f"function:{key}"] = key


def _function(configuration: Configuration, key: str, packing: Packing, package: Section) -> Function:
    config, folder = configuration.functions[key], configuration.folder
    source = packing.source or configuration.local(config.get("module") or ".")
    layers, foreign_layers = _layers_of(configuration, config)
    lines = _patterns(configuration, package, without_layers=True)
    globs = Globs(lines, "" if source == "." else posixpath.relpath(source, folder))
    handler = configuration.at("functions", key, "handler")
    return Function(
        name=key,
        runtime=configuration.runtime(config),
        build_method="esbuild" if packing.bundled is not None else "",
        architecture=configuration.architecture(config),
        handler=config["handler"],
        handler_place=handler.span if handler is not None else None,
        source=source,
        where=configuration.place("functions", key),
        options=_options(configuration, packing.bundled or {}),
        layers=layers,
        foreign_layers=foreign_layers,
        fixed_layers="Lambda@Edge takes no layers" if _is_at_edge(config) else "",
        environment=_variable_names(configuration.provider, config),
        globs=Globs() if packing.is_whole else globs,
        plain=True,
        extras=tuple(map(package_patterns.tidy, packing.extras)) or package_patterns.from_above(lines),
    )


def _layers_of(configuration: Configuration, config: Section) -> tuple[tuple[str, ...], int]:
    """Return the plan's names of a function's layers in this service, and the number of its other layers."""
    references = config.get("layers") or configuration.provider.get("layers") or []
    keys = {naming.layer(key): key for key in configuration.layers}
    logical_ids = [item.get("Ref") if isinstance(item, dict) else None for item in references]
    own = tuple(configuration.layer_name(keys[name]) for name in logical_ids if name in keys)
    return own, len(references) - len(own)


def _options(configuration: Configuration, bundled: Mapping[str, Any]) -> Options:
    """Return those settings of other tools that a rule understands, as JSON."""
    options: dict[str, Any] = dict(bundled)
    if configuration.package.get("excludeDevDependencies") is False:
        options["include"] = ["dev"]
    return tuple(sorted((name, json.dumps(value)) for name, value in options.items()))


def _variable_names(*sections: Section) -> tuple[str, ...]:
    return tuple(sorted({name for section in sections for name in section.get("environment") or {}}))


def _is_at_edge(config: Section) -> bool:
    return any(isinstance(event, Mapping) and "cloudFront" in event for event in config.get("events") or ())


def _patterns(configuration: Configuration, own: Section, *, without_layers: bool) -> tuple[str, ...]:
    """Return package patterns, exclusions first, then what brings files back, as the Serverless Framework orders them.

    With ``without_layers`` the folders of the service's layers are excluded.
    """
    package, data = configuration.package, configuration.data
    excluded = [*package_patterns.NEVER, *_local_plugins(data), *(package.get("exclude") or ())]
    excluded += _layer_folders(configuration) if without_layers else []
    excluded += [".env*"] if data.get("useDotenv", is_version_4(configuration.root)) else []
    excluded += own.get("exclude") or ()
    included = [
        line for section in (package, own) for key in ("include", "patterns") for line in section.get(key) or ()
    ]
    return package_patterns.globs(excluded, included)


def _local_plugins(data: Section) -> list[str]:
    plugins = data.get("plugins")
    path = plugins.get("localPath") if isinstance(plugins, dict) else None
    return [f"{posixpath.normpath(path)}/**"] if path else []


def _layer_folders(configuration: Configuration) -> list[str]:
    paths = {key: (layer or {}).get("path") for key, layer in configuration.layers.items()}
    own = [path for key, path in paths.items() if path and not configuration.plugins.makes_layer(key)]
    return [f"{posixpath.normpath(path)}/**" for path in own]


def _add_layer(configuration: Configuration, key: str, collected: Collected) -> None:
    config = configuration.layers[key] or {}
    artifact = (config.get("package") or {}).get("artifact")
    if artifact:
        _add_artifact(configuration, "layer", key, artifact, collected)
        return
    if not config.get("path"):
        where = configuration.place("layers", key)
        wrong = BadFunction(f"layer {key!r} has neither a path nor a package.artifact", where=where, help="add path:")
        collected.errors.append(wrong)
        return
    layer = _layer(configuration, key, config)
    collected.layers.append(layer)
    collected.settings[layer.name] = configuration.plugins.of_layer(key).settings
    collected.artifacts[f"layer:{key}"] = layer.name


def _layer(configuration: Configuration, key: str, config: Section) -> Layer:
    is_made = configuration.plugins.makes_layer(key)
    default = configuration.provider.get("architecture") if is_made else None
    lines = _patterns(configuration, config.get("package") or {}, without_layers=False)
    return Layer(
        name=configuration.layer_name(key),
        architecture=(config.get("compatibleArchitectures") or [default or "x86_64"])[0],
        source=configuration.local(config["path"]),
        where=configuration.place("layers", key),
        build_method=configuration.runtime({}) if is_made else "",
        runtimes=tuple(config.get("compatibleRuntimes") or ()),
        about=About(
            name=config.get("name") or key,
            description=config.get("description") or "",
            license=config.get("licenseInfo") or "",
            architectures=tuple(config.get("compatibleArchitectures") or ()),
            accounts=tuple(config.get("allowedAccounts") or ()),
        ),
        # A layer of packages has nothing of the service's own files.
        globs=Globs(("!**",)) if is_made else Globs(lines),
    )


def _add_artifact(configuration: Configuration, kind: str, key: str, artifact: str, collected: Collected) -> None:
    """Add an artifact that was made elsewhere; the same file is uploaded once, whoever has it."""
    name = configuration.layer_name(key) if kind == "layer" else key
    where = configuration.place(f"{kind}s", key)
    if artifact.startswith(("s3://", "https://")):
        collected.skipped.append(Skipped(name, "its code is in S3 already", where))
        collected.artifacts[f"{kind}:{key}"] = _s3_address(artifact)
        return
    path = configuration.local(artifact)
    collected.skipped.append(Skipped(name, "its artifact is ready", where))
    same = next((asset.name for asset in collected.assets if asset.source == path), "")
    collected.artifacts[f"{kind}:{key}"] = same or name
    if same:
        return
    if configuration.files.kind(path) != "file":
        wrong = NoSource(
            f"the artifact {artifact} of {kind} {key!r} does not exist",
            where=where,
            help="make it first, or correct package.artifact",
            known_as="INVALID_PACKAGE_ARTIFACT_PATH",
        )
        collected.errors.append(wrong)
    collected.assets.append(Asset(name, path, False, where))


def _s3_address(artifact: str) -> str:
    """Return ``s3://bucket/key`` for any form of S3's addresses.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    if artifact.startswith("s3://"):
        return artifact
    host, _, path = artifact.removeprefix("https://").partition("/")
    if host.startswith(("s3.", "s3-")):
        return f"s3://{path}"
    return f"s3://{host.partition('.s3')[0]}/{path}"


def _add_image(configuration: Configuration, key: str, where: Span, collected: Collected) -> None:
    """Add an image of ``provider.ecr.images`` or of a registry; the compiler reports mistakes in its name."""
    reference = configuration.functions[key]["image"]
    name = (reference.get("uri") or reference.get("name") or "") if isinstance(reference, dict) else reference
    known = ((configuration.provider.get("ecr") or {}).get("images") or {}).get(name, name)
    key_of_text = "uri" if naming.ECR_URI.match(str(known)) else "path"
    described = known if isinstance(known, dict) else {key_of_text: known}
    uri = str(described.get("uri") or "")
    if "@" in uri:
        collected.skipped.append(Skipped(key, "its image is in a registry already", where))
    elif uri:
        collected.images.append(Image(key, Tagged(uri), where))
        collected.artifacts[f"image:{key}"] = key
    elif described.get("path") and known is not name:
        _add_image_to_build(configuration, key, name, described, collected)


def _add_image_to_build(
    configuration: Configuration, key: str, name: str, described: Section, collected: Collected
) -> None:
    images_node = configuration.at("provider", "ecr", "images")
    where = images_node.keys.get(name) if images_node is not None else None
    where = where or configuration.place("functions", key)
    try:
        build = _docker_build(configuration, key, described, where)
    except LambdaBuildError as error:
        collected.errors.append(error)
        return
    repository = "ecr:" + naming.repository(str(configuration.data["service"]), configuration.stage)
    collected.images.append(Image(key, build, where, push_tags=(name,), repository=repository))
    collected.artifacts[f"image:{key}"] = key


def _docker_build(configuration: Configuration, key: str, described: Section, where: Span) -> DockerBuild:
    architecture = configuration.architecture(configuration.functions[key])
    return images.docker_build(
        f"function {key!r}",
        where,
        configuration.files,
        context=configuration.local(described["path"]),
        dockerfile=described.get("file") or "",
        platform=described.get("platform") or images.PLATFORMS[architecture],
        arguments=described.get("buildArgs") or {},
        options=described.get("buildOptions") or (),
        cache_from=described.get("cacheFrom") or (),
        provenance=described.get("provenance") or "",
        known_as="DOCKERFILE_NOT_AVAILABLE_ERROR",
    )
