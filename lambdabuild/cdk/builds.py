"""All functions and layers of an app, built in one run when the first of their templates is written.

The CDK asks for the place of a function's code when it writes the template, at the end of synth: then every function is
known, and one ``lambdabuild output`` builds what is not up to date. When nothing is bundled (``cdk ls``, ``cdk
destroy``), nothing is built.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda, aws_s3
from constructs import Construct, IConstruct

NOT_BUILT = "lambdabuild-has-not-built-it.zip"
"""A key that no object has, in templates of commands that deploy nothing."""


class BuildFailed(Exception):
    """lambdabuild could not build the app's functions; its own words are on standard error."""


@dataclass
class Builds:
    """What is built for one app."""

    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """For each name its settings: ``functions.NAME.path`` and so on."""
    built: dict[str, dict[str, Any]] = field(default_factory=dict)
    """For each name its zip and digest, after the run."""

    def add(self, name: str, settings: Mapping[str, str]) -> None:
        self.settings[name] = dict(settings)

    def of(self, name: str) -> dict[str, Any]:
        """Return the zip and the digest of a function or layer. Raises BuildFailed."""
        if name not in self.built:
            self.built = self._run()
        return self.built[name]

    def _run(self) -> dict[str, dict[str, Any]]:
        given = [f"{key}={value}" for settings in self.settings.values() for key, value in settings.items()]
        command = [
            sys.executable,
            "-m",
            "lambdabuild",
            "output",
            "--for",
            "cdk",
            *sorted(self.settings),
            "template=none",
            *given,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, check=False)
        if done.returncode:
            raise BuildFailed(f"lambdabuild failed with exit code {done.returncode}; what it says is above")
        items: dict[str, dict[str, Any]] = json.loads(done.stdout)
        return items


_APPS: weakref.WeakKeyDictionary[Any, Builds] = weakref.WeakKeyDictionary()


def builds_of(scope: IConstruct) -> Builds:
    """Return the builds of the app that a construct belongs to."""
    return _APPS.setdefault(scope.node.root, Builds())


def name_of(scope: IConstruct) -> str:
    """Return the name of a function or layer for lambdabuild: the construct's path, as Lambda allows names."""
    name = cdk.Names.unique_resource_name(scope, max_length=64, separator="-", allowed_special_characters="_-")
    return str(name)


class BuiltCode(aws_lambda.Code):
    """Code that is built at the end of synth."""

    def __init__(self, kind: str, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._kind, self._settings = kind, settings

    @property
    def is_inline(self) -> bool:
        return False

    def bind(self, scope: Construct) -> aws_lambda.CodeConfig:
        """Return the place of the code, which is known when the template is written."""
        name = name_of(scope)
        settings = {f"{self._kind}.{name}.{key}": value for key, value in self._settings.items()}
        builds_of(scope).add(name, settings)
        place = _Place(scope, name)
        location = aws_s3.Location(
            bucket_name=cdk.Lazy.string(_Producer(lambda: place.asset().bucket_name)),
            object_key=cdk.Lazy.string(_Producer(lambda: place.asset().object_key)),
        )
        return aws_lambda.CodeConfig(s3_location=location)

    def bind_to_resource(self, resource: cdk.CfnResource, *options: Any, **named: Any) -> None:
        """Add nothing: SAM would build again what its metadata names."""


@dataclass
class _Asset:
    bucket_name: str
    object_key: str


class _Place:
    """Where the zip of one function or layer is published."""

    def __init__(self, scope: Construct, name: str) -> None:
        self._scope, self._name = scope, name
        self._asset: _Asset | None = None

    def asset(self) -> _Asset:
        if self._asset is None:
            self._asset = self._publish()
        return self._asset

    def _publish(self) -> _Asset:
        stack = cdk.Stack.of(self._scope)
        if not stack.bundling_required:
            return _Asset("", NOT_BUILT)
        item = builds_of(self._scope).of(self._name)
        stage = cdk.Stage.of(self._scope)
        assert stage is not None
        file = os.path.join(stage.asset_outdir, f"asset.{item['assetHash']}.zip")
        if not os.path.exists(file):
            shutil.copyfile(item["path"], file)
        location = stack.synthesizer.add_file_asset(
            source_hash=item["assetHash"],
            file_name=os.path.relpath(file, stage.outdir),
            packaging=cdk.FileAssetPackaging.FILE,
        )
        return _Asset(location.bucket_name, location.object_key)


@jsii.implements(cdk.IStableStringProducer)
class _Producer:
    """A text that the CDK asks for when it writes a template."""

    def __init__(self, produce: Any) -> None:
        self._produce = produce

    def produce(self) -> str:
        return str(self._produce())
