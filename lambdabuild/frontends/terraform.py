"""What ``terraform show -json`` prints -> Service, by the hints that SAM reads: ``null_resource.sam_metadata_*``.

Comes in: a path and a way to read. Goes out: a Service without documents: nothing is written back, because Terraform
takes artifacts by their paths or from manifest.json. The format:
https://developer.hashicorp.com/terraform/internals/json-format
The hints: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/terraform-sam-metadata.html
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast

from lambdabuild.core import regular
from lambdabuild.core.errors import BadTemplate, BrokenYaml, LambdaBuildError, NoSource, raise_all
from lambdabuild.core.model import About, DockerBuild, Function, Image, Layer, Service, Skipped
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span
from lambdabuild.frontends.images import PLATFORMS

FORMAT = 1
"""The major version of the format that is known; a newer minor version only adds to it."""
HINT = "sam_metadata_"
ARCHITECTURES = ("x86_64", "arm64")
LONGEST_ID, CHECKSUM = 247, 8
"""Characters of a logical id: what is kept of the address, and the digest that makes it unique."""
IDS = {"aws_lambda_function": "function", "aws_lambda_layer_version": "layer"}
READY = "its artifact is made by Terraform, and no sam_metadata resource says from what"


class Resource(Struct, frozen=True):
    """A resource of a plan or of a state; ``module`` is the address of its module, "" for the root's."""

    address: str
    module: str
    type: str
    name: str
    values: Mapping[str, Any]
    where: Span

    @property
    def own_address(self) -> str:
        """Return its address within its module: ``aws_lambda_function.this[0]``."""
        return self.address.removeprefix(f"{self.module}.") if self.module else self.address


class Hint(Struct, frozen=True):
    """A resource ``sam_metadata_*``: what an artifact is built from."""

    resource: Resource
    triggers: Mapping[str, str]

    def text(self, key: str) -> str:
        value = self.triggers.get(key)
        return value if isinstance(value, str) else ""


class _Reading(Struct):
    """All that was read so far."""

    kind: Callable[[str], str]
    functions: list[Function] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    errors: list[LambdaBuildError] = field(default_factory=list)


def is_plan(data: object) -> bool:
    """Return whether plain data is what ``terraform show -json`` prints."""
    return isinstance(data, dict) and "format_version" in data and ("planned_values" in data or "values" in data)


def load(path: str, text: str, kind: Callable[[str], str]) -> Service:
    """Return the functions and layers of a plan or a state. All mistakes are raised together.

    ``kind`` says of a path, relative to the file's folder, whether it is a "file", a "folder" or "" (neither).
    """
    data = _parsed(path, text)
    resources = list(_resources(data, path, text))
    reading = _Reading(kind)
    hints = _hints(resources, reading)
    for resource in resources:
        if resource.type in IDS:
            try:
                _read(resource, hints.pop(resource.address, None), reading)
            except LambdaBuildError as error:
                reading.errors.append(error)
    reading.errors += [_of_nobody(hint) for hint in hints.values()]
    raise_all(reading.errors)
    return Service(
        documents=(),
        functions=tuple(reading.functions),
        layers=tuple(reading.layers),
        images=tuple(reading.images),
        skipped=tuple(reading.skipped),
    )


def _parsed(path: str, text: str) -> Mapping[str, Any]:
    try:
        data = regular.json(text)
    except ValueError as error:
        raise BrokenYaml(
            f"{path} is not JSON: {error}", where=Span(path), help="terraform show -json PLAN > terraform.json"
        ) from error
    if not is_plan(data):
        raise BadTemplate(
            f"{path} is no plan and no state of Terraform",
            where=Span(path),
            help="terraform plan -out PLAN, then: terraform show -json PLAN > terraform.json",
        )
    version = str(data["format_version"])
    if version.partition(".")[0] not in ("0", str(FORMAT)):
        raise BadTemplate(
            f"{path} has the format {version}; format {FORMAT} is known here",
            where=_place(path, text, '"format_version"'),
            help="update lambdabuild, or use the Terraform that you used before",
        )
    return cast("Mapping[str, Any]", data)


def _resources(data: Mapping[str, Any], path: str, text: str) -> Iterator[Resource]:
    """Yield the resources of all modules; a plan's come before those that it deletes."""
    values = data.get("planned_values") or data.get("values") or {}
    yield from _of_module(values.get("root_module") or {}, path, text)


def _of_module(module: Mapping[str, Any], path: str, text: str) -> Iterator[Resource]:
    for item in module.get("resources") or ():
        if item.get("mode", "managed") == "managed":
            yield Resource(
                address=str(item["address"]),
                module=str(module.get("address") or ""),
                type=str(item["type"]),
                name=str(item["name"]),
                values=item.get("values") or {},
                where=_place(path, text, json.dumps(item["address"])),
            )
    for child in module.get("child_modules") or ():
        yield from _of_module(child, path, text)


def _place(path: str, text: str, quoted: str) -> Span:
    """Return the place where a text first stands; JSON's parser keeps no places."""
    start = text.find(quoted)
    if start < 0:
        return Span(path)
    line = text.count("\n", 0, start) + 1
    return Span(path, line, start - text.rfind("\n", 0, start), start, start + len(quoted))


# hints


def _hints(resources: list[Resource], reading: _Reading) -> dict[str, Hint]:
    """Return the hints by the address of the resource that each is about."""
    hints: dict[str, Hint] = {}
    for resource in resources:
        if resource.type == "null_resource" and resource.name.startswith(HINT):
            hint = Hint(resource, resource.values.get("triggers") or {})
            target = _target(hint, resources)
            if hint.text("resource_type") not in TYPES:
                reading.errors.append(_unknown_type(hint))
            elif target in hints:
                reading.errors.append(_both(target, hints[target], hint))
            else:
                hints[target or resource.address] = hint
    return hints


def _target(hint: Hint, resources: list[Resource]) -> str:
    """Return the address that a hint names, else that of the only resource with its artifact; "" if there is none."""
    named, module = hint.text("resource_name"), hint.resource.module
    if named:
        return f"{module}.{named}" if module else named
    built = hint.text("built_output_path") or hint.text("built_image_uri")
    fitting = [
        resource.address
        for resource in resources
        if resource.type in IDS
        and resource.module == module
        and built in (resource.values.get("filename"), resource.values.get("image_uri"))
    ]
    return fitting[0] if built and len(fitting) == 1 else ""


def _unknown_type(hint: Hint) -> BadTemplate:
    return BadTemplate(
        f"the resource_type of {hint.resource.address} is {hint.text('resource_type')!r}",
        where=hint.resource.where,
        help=f"SAM knows {', '.join(sorted(TYPES))}",
    )


def _both(target: str, first: Hint, second: Hint) -> BadTemplate:
    return BadTemplate(
        f"{first.resource.address} and {second.resource.address} are both about {target}",
        where=(first.resource.where, second.resource.where),
        help="remove one of them",
    )


def _of_nobody(hint: Hint) -> BadTemplate:
    return BadTemplate(
        f"{hint.resource.address} is about a function or layer that the plan does not have",
        where=hint.resource.where,
        help="set resource_name to its address within the module, such as aws_lambda_function.this[0]",
    )


# functions and layers


def _read(resource: Resource, hint: Hint | None, reading: _Reading) -> None:
    if hint is not None:
        TYPES[hint.text("resource_type")](resource, hint, reading)
        return
    kind = cast('Literal["function", "layer"]', IDS[resource.type])
    reading.skipped.append(Skipped(logical_id(resource.address), _reason(resource.values), resource.where, kind))


def _reason(values: Mapping[str, Any]) -> str:
    if values.get("s3_bucket"):
        return "its code is in S3 already"
    return "its image is in a registry already" if values.get("image_uri") else READY


def _function(resource: Resource, hint: Hint, reading: _Reading) -> None:
    values = resource.values
    layers = values.get("layers")
    reading.functions.append(
        Function(
            name=logical_id(resource.address),
            runtime=_needed(resource, "runtime"),
            architecture=_architecture(resource, values.get("architectures")),
            handler=str(values.get("handler") or ""),
            source=_source(hint, reading),
            where=resource.where,
            foreign_layers=len(layers) if isinstance(layers, list) else 0,
            environment=_variables(values),
            from_settings=True,
        )
    )


def _variables(values: Mapping[str, Any]) -> tuple[str, ...]:
    blocks = values.get("environment")
    names = {name for block in blocks or () for name in (block.get("variables") or {})}
    return tuple(sorted(names))


def _layer(resource: Resource, hint: Hint, reading: _Reading) -> None:
    values = resource.values
    architectures = tuple(values.get("compatible_architectures") or ())
    runtimes = tuple(sorted(values.get("compatible_runtimes") or ()))
    reading.layers.append(
        Layer(
            name=logical_id(resource.address),
            architecture=_architecture(resource, list(architectures[:1])),
            source=_source(hint, reading),
            where=resource.where,
            build_method=runtimes[0] if runtimes else "",
            runtimes=runtimes,
            about=About(str(values.get("layer_name") or ""), str(values.get("description") or ""),
                        str(values.get("license_info") or ""), architectures),
        )
    )  # fmt: skip


def _image(resource: Resource, hint: Hint, reading: _Reading) -> None:
    architecture = _architecture(resource, resource.values.get("architectures"))
    context = _folder(hint, "docker_context", "docker_context_property_path", reading)
    arguments = hint.text("docker_build_args")
    try:
        given = regular.json(arguments) if arguments else {}
    except ValueError as error:
        raise BadTemplate(
            f"docker_build_args of {hint.resource.address} is not JSON: {error}",
            where=hint.resource.where,
            help="docker_build_args = jsonencode({ NAME = VALUE })",
        ) from error
    build = DockerBuild(
        context=context,
        dockerfile=hint.text("docker_file") or "Dockerfile",
        platform=PLATFORMS[architecture],
        arguments=tuple(sorted((str(name), str(value)) for name, value in given.items())),
    )
    tag = hint.text("docker_tag") or "latest"
    reading.images.append(Image(logical_id(resource.address), build, resource.where, tag))


TYPES: Mapping[str, Callable[[Resource, Hint, _Reading], None]] = {
    "ZIP_LAMBDA_FUNCTION": _function,
    "LAMBDA_LAYER": _layer,
    "IMAGE_LAMBDA_FUNCTION": _image,
}
"""The hint's ``resource_type`` -> what reads such a resource."""


def _needed(resource: Resource, key: str) -> str:
    value = resource.values.get(key)
    if not isinstance(value, str) or not value:
        raise BadTemplate(
            f"the {key} of {resource.address} is not known in the plan", where=resource.where, help=f"write {key} out"
        )
    return value


def _architecture(resource: Resource, value: Any) -> Literal["x86_64", "arm64"]:
    first = value[0] if isinstance(value, list) and value else ARCHITECTURES[0]
    if first not in ARCHITECTURES:
        raise BadTemplate(
            f"the architecture of {resource.address} is {first!r}; Lambda knows {' and '.join(ARCHITECTURES)}",
            where=resource.where,
            help='architectures = ["arm64"]',
        )
    return cast('Literal["x86_64", "arm64"]', first)


def _source(hint: Hint, reading: _Reading) -> str:
    return _folder(hint, "original_source_code", "source_code_property", reading)


def _folder(hint: Hint, key: str, property_key: str, reading: _Reading) -> str:
    """Return the folder that a trigger names: as a path, a JSON list with one, or an object with it."""
    text, where = hint.text(key), hint.resource.where
    path: Any = text
    if text[:1] in ("[", "{", '"'):
        try:
            path = regular.json(text)
        except ValueError:
            path = text
    if isinstance(path, list):
        if len(path) != 1:
            raise BadTemplate(
                f"{key} of {hint.resource.address} has {len(path)} paths, and SAM takes the first alone",
                where=where,
                help="name one folder",
            )
        path = path[0]
    if isinstance(path, dict):
        name = hint.text(property_key)
        if name not in path:
            raise BadTemplate(
                f"{key} of {hint.resource.address} is an object, and {property_key} names nothing in it",
                where=where,
                help=f"one of {', '.join(sorted(path))}",
            )
        path = path[name]
    if not isinstance(path, str) or not path:
        raise BadTemplate(f"{hint.resource.address} has no {key}", where=where, help="name the folder of the code")
    if reading.kind(path) != "folder":
        raise NoSource(
            f"{path}, the {key} of {hint.resource.address}, does not exist or is not a folder",
            where=where,
            help="correct the path; it is relative to the root module",
        )
    return posixpath.normpath(path)


def logical_id(address: str) -> str:
    """Return what SAM calls a resource: the words of its address together, and a digest of it."""
    words = re.split(r"[^A-Za-z0-9]+", address)
    readable = "".join(word[:1].upper() + word[1:] for word in words)[:LONGEST_ID]
    digest = hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()
    return readable + digest[:CHECKSUM].upper()
