"""The constructs: a function and a layer of the CDK with a folder in place of a code. They build nothing themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lambdabuild.cdk import app_build
from lambdabuild.cdk.assets import Asset, AssetCode
from lambdabuild.core.errors import BadSettings, NoSource


class Function(lambda_.Function):
    """A function that lambdabuild builds. ``path`` is the folder of its code, as seen from the current folder.

    ``settings`` are those of ``[functions.NAME]`` in lambdabuild.toml, such as ``{"exclude": ["tests/"]}``;
    ``build_name`` is that NAME, by default made of the construct's path. Everything else is as in
    ``aws_lambda.Function``, without ``code``.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        path: str,
        runtime: lambda_.Runtime,
        handler: str,
        settings: Mapping[str, object] | None = None,
        build_name: str = "",
        **properties: Any,
    ) -> None:
        place = f"{scope.node.path}/{id}"
        _refuse_code(place, properties)
        folder = _folder(path, place)
        asset = Asset(place, build_name, folder, app_build.project_of(folder, os.getcwd()), dict(settings or {}))
        super().__init__(scope, id, runtime=runtime, handler=handler, code=AssetCode(asset), **properties)
        asset.register(self, "Code")


class Layer(lambda_.LayerVersion):
    """A layer that lambdabuild builds, from a folder, from a ``manifest`` such as ``requirements.txt``, or both.

    Its runtimes and architectures are the compatible ones; those of the functions that use it if none are named.
    ``settings`` are those of ``[layers.NAME]``. Everything else is as in ``aws_lambda.LayerVersion``, without ``code``.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        path: str = "",
        manifest: str = "",
        settings: Mapping[str, object] | None = None,
        build_name: str = "",
        **properties: Any,
    ) -> None:
        place = f"{scope.node.path}/{id}"
        _refuse_code(place, properties)
        if not path and not manifest:
            raise BadSettings(
                f"the layer {place} has neither a path nor a manifest", help='manifest="requirements.txt"'
            )
        folder = _folder(path, place) if path else ""
        file = os.path.abspath(manifest) if manifest else ""
        if file and not os.path.isfile(file):
            raise NoSource(f"the manifest {manifest} of {place} does not exist", help=_seen_from())
        project = app_build.project_of(folder or os.path.dirname(file), os.getcwd())
        given = {**(settings or {}), **({"manifest": os.path.relpath(file, folder or project)} if file else {})}
        asset = Asset(place, build_name, folder, project, given)
        super().__init__(scope, id, code=AssetCode(asset), **properties)
        asset.register(self, "Content")


def _refuse_code(place: str, properties: Mapping[str, object]) -> None:
    if "code" in properties:
        raise BadSettings(f"{place} has a code, which lambdabuild makes from its path", help="leave out code")


def _folder(path: str, place: str) -> str:
    folder = os.path.abspath(path)
    if not os.path.isdir(folder):
        raise NoSource(f"the code folder {path} of {place} does not exist or is not a folder", help=_seen_from())
    return folder


def _seen_from() -> str:
    return f"paths are as seen from {os.getcwd()}"
