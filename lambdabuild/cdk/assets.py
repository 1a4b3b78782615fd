"""A construct's code as a lazy token, and the assets of an app, which are built together when the first is needed.

A constructor registers its asset, and gives the CDK a place in S3 that is a token. The CDK asks for its value when it
prepares the template: by then all constructs exist, and all aspects have run. The first question builds all of the app.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import FileAssetPackaging, IStableStringProducer, Lazy, Stack, Stage, Token
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3

from lambdabuild.cdk import app_build
from lambdabuild.cdk.app_build import Wanted, Zip
from lambdabuild.core.errors import BadSettings, Unresolvable

NO_STAGING = "aws:cdk:disable-asset-staging"
ASSET_METADATA = "aws:cdk:enable-asset-metadata"
USUAL_ARCHITECTURE = "x86_64"


class Asset:
    """What a construct's code is made from; once it is known, the zip and its place in S3."""

    def __init__(self, place: str, build_name: str, folder: str, project: str, settings: Mapping[str, object]) -> None:
        self.place, self.build_name, self.folder, self.project = place, build_name, folder, project
        self.settings = settings
        self.construct: Any = None
        self.zip: Zip | None = None
        self.bucket = self.key = self.file = ""

    def register(self, construct: Any, resource_property: str) -> None:
        """Make a construct known to its app, and say in the template where its zip is, which SAM CLI reads."""
        self.construct = construct
        _assets_of(construct).append(self)
        if construct.node.try_get_context(ASSET_METADATA):
            resource = construct.node.default_child
            resource.add_metadata("aws:asset:path", Lazy.string(_Value(self, "file")))
            resource.add_metadata("aws:asset:is-bundled", True)
            resource.add_metadata("aws:asset:property", resource_property)

    def locate(self) -> None:
        """Enter the zip into the asset manifest; build all of the app if that was not done yet."""
        if self.bucket:
            return
        stage = Stage.of(self.construct)
        if stage is None:
            raise BadSettings(f"{self.place} is in no app", help="create it below an App")
        digest, packaging = hashlib.sha256(self.place.encode()).hexdigest(), FileAssetPackaging.ZIP_DIRECTORY
        self.file = self.folder or self.project
        if self.is_needed:
            assembly = os.path.abspath(stage.asset_outdir)
            zip = self.zip or _build(self, assembly)
            is_staged = os.path.dirname(zip.path) == assembly
            self.file = os.path.relpath(zip.path, stage.outdir) if is_staged else zip.path
            digest, packaging = zip.sha256, FileAssetPackaging.FILE
        location = Stack.of(self.construct).synthesizer.add_file_asset(
            file_name=self.file, packaging=packaging, source_hash=digest, display_name=self.place
        )
        self.bucket, self.key = location.bucket_name, location.object_key

    @property
    def is_needed(self) -> bool:
        """Whether its stack is to be deployed: not for ``cdk ls`` and ``cdk destroy``, which build nothing."""
        return bool(Stack.of(self.construct).bundling_required)

    @property
    def name(self) -> str:
        """The name to build it under: the construct's path within its topmost stack, unless one was given."""
        stack = Stack.of(self.construct)
        while stack.nested_stack_parent is not None:
            stack = stack.nested_stack_parent
        return self.build_name or app_build.legal_name(self.construct.node.path.removeprefix(stack.node.path))

    @property
    def paths(self) -> dict[str, object]:
        return {"path": os.path.relpath(self.folder, self.project)} if self.folder else {}


@jsii.implements(IStableStringProducer)
class _Value:
    """A token's value that is known once its asset has a place."""

    def __init__(self, asset: Asset, attribute: str) -> None:
        self.asset, self.attribute = asset, attribute

    def produce(self) -> str:
        self.asset.locate()
        return str(getattr(self.asset, self.attribute))


class AssetCode(lambda_.Code):
    """The code of a function or layer, whose place is a token."""

    def __init__(self, asset: Asset) -> None:
        super().__init__()
        bucket, key = (Lazy.string(_Value(asset, name)) for name in ("bucket", "key"))
        self._config = lambda_.CodeConfig(s3_location=s3.Location(bucket_name=bucket, object_key=key))

    def bind(self, scope: Any) -> Any:
        """Return the place; the scope needs nothing added."""
        return self._config


# The assets of an app.

_apps: WeakKeyDictionary[Any, list[Asset]] = WeakKeyDictionary()


def _assets_of(construct: Any) -> list[Asset]:
    return _apps.setdefault(construct.node.root, [])


def _build(asset: Asset, assembly: str) -> Zip:
    """Build all assets of the app that are needed and not built yet; return the zip of one."""
    every = [one for one in _assets_of(asset.construct) if one.is_needed]
    pending = [one for one in every if one.zip is None]
    is_staged = not asset.construct.node.try_get_context(NO_STAGING)
    all_wanted = _all_wanted(every, assembly)
    zips = app_build.build([all_wanted[one] for one in pending], assembly if is_staged else "")
    for one in pending:
        one.zip = zips[all_wanted[one].key]
    return zips[all_wanted[asset].key]


def _all_wanted(assets: Sequence[Asset], assembly: str) -> dict[Asset, Wanted]:
    """Return what each asset is built from. Layers come first: functions name them, and are what they are built for."""
    layers = [asset for asset in assets if isinstance(asset.construct, lambda_.LayerVersion)]
    functions = [asset for asset in assets if asset not in layers]
    by_place = {_place(layer.construct, layer.construct.layer_version_arn): layer for layer in layers}
    layers_of = {function: _layers_of(function, by_place) for function in functions}
    users: dict[Asset | None, list[Asset]] = defaultdict(list)
    for function, own in layers_of.items():
        for layer in own:
            users[layer].append(function)
    wanted: dict[Asset, Wanted] = {}
    for layer in layers:
        wanted[layer] = _wanted_layer(layer, users[layer], assembly)
    for function in functions:
        own_layers = tuple(wanted[layer] if layer else None for layer in layers_of[function])
        wanted[function] = _wanted_function(function, own_layers, assembly)
    return wanted


def _place(construct: Any, arn: Any) -> str:
    """Return a stack and what an ARN is in its template, to compare."""
    stack = Stack.of(construct)
    return f"{stack.node.path} {json.dumps(stack.resolve(arn))}"


def _layers_of(function: Asset, by_place: Mapping[str, Asset]) -> list[Asset | None]:
    """Return the layers that the template will name; None for one that we do not build, or of another stack."""
    construct = function.construct
    arns = Stack.of(construct).resolve(construct.node.default_child.layers) or []
    return [by_place.get(_place(construct, arn)) for arn in arns]


def _wanted_function(asset: Asset, layers: tuple[Wanted | None, ...], assembly: str) -> Wanted:
    resource = asset.construct.node.default_child
    described = {
        "runtime": _known(asset, "runtime", resource.runtime),
        "handler": _known(asset, "handler", resource.handler),
        "architecture": _architecture_of(asset),
    }
    settings = {**_settings(asset, assembly), **asset.paths, **described}
    return Wanted("functions", asset.name, asset.place, asset.project, settings, layers)


def _wanted_layer(asset: Asset, users: Iterable[Asset], assembly: str) -> Wanted:
    construct = asset.construct
    resource, users = construct.node.default_child, list(users)
    runtimes = resource.compatible_runtimes or sorted(
        {str(_known(user, "runtime", user.construct.node.default_child.runtime)) for user in users}
    )
    architectures = resource.compatible_architectures or sorted({_architecture_of(user) for user in users})
    architectures = architectures or [USUAL_ARCHITECTURE]
    described = {"runtimes": list(runtimes), "architectures": list(architectures)}
    settings = {**_settings(asset, assembly), **asset.paths, **described}
    artifacts = tuple(f"-{one}" for one in architectures) if len(architectures) > 1 else ("",)
    return Wanted("layers", asset.name, asset.place, asset.project, settings, (), artifacts)


def _settings(asset: Asset, assembly: str) -> dict[str, object]:
    """Return an asset's own settings; a cloud assembly within its folder is left out, because it holds the zips."""
    inside = os.path.relpath(assembly, asset.folder) if asset.folder else ".."
    if inside.startswith(".."):
        return dict(asset.settings)
    given = asset.settings.get("exclude", ())
    patterns = given.split(",") if isinstance(given, str) else [*given] if isinstance(given, Sequence) else []
    return {**asset.settings, "exclude": [*patterns, f"/{inside}/"]}


def _architecture_of(function: Asset) -> str:
    architectures = function.construct.node.default_child.architectures
    return str(_known(function, "architecture", architectures[0])) if architectures else USUAL_ARCHITECTURE


def _known(asset: Asset, name: str, value: object) -> object:
    """Return a property as it is in the template. Raises Unresolvable (LB106) if only a deployment knows it."""
    if not value or Token.is_unresolved(value):
        raise Unresolvable(
            f"the {name} of {asset.place} is not known before it is deployed",
            help="give it as a constant, such as Runtime.PYTHON_3_13" if name == "runtime" else "give it as a text",
        )
    return value
