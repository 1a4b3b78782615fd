"""A cloud assembly + the zips that take the place of its assets -> the texts of a cloud assembly to deploy. Pure.

Texts are by their paths in the assembly's folder. A publisher of the CDK asks only whether a key exists, so whatever
changes gets a new key: a zip that of its digest, a template too, from the innermost nested stack outwards.
https://github.com/aws/aws-cdk-cli/tree/main/packages/%40aws-cdk/cloud-assembly-schema
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core.plain import Json
from lambdabuild.core.records import Struct, field

MANIFEST = "manifest.json"
STACK, ASSETS, NESTED = "aws:cloudformation:stack", "cdk:asset-manifest", "cdk:cloud-assembly"
"""Types of artifacts that are read; all others are copied as they are."""
PATH = "aws:asset:path"
CODE = {"AWS::Lambda::Function": "Code", "AWS::Lambda::LayerVersion": "Content"}
"""The property that says where the zip of a resource is."""


class Zip(Struct, frozen=True):
    """A zip that takes the place of an asset: its sha256 in hexadecimal is its name, too."""

    sha256: str

    @property
    def file(self) -> str:
        return f"asset.{self.sha256}.zip"


Zips = Mapping[str, Mapping[str, Zip]]
"""For each template, by its path, the zips by logical id."""


class Assembly(Struct, frozen=True):
    """The new texts, the files and folders that assets of the result are made of, and what was left as it is."""

    texts: dict[str, str] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    left_alone: tuple[str, ...] = ()


def folders(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the folders of the assembly and of those within it, "" for the outermost, which comes first."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        yield folder
        waiting += nested(json.loads(texts[posixpath.join(folder, MANIFEST)]), folder)


def nested(manifest: Json, folder: str) -> list[str]:
    """Return the folders of the assemblies that a manifest names: one for each Stage."""
    properties = (artifact.get("properties") or {} for artifact in _artifacts(manifest, NESTED).values())
    return [posixpath.join(folder, str(one["directoryName"])) for one in properties if "directoryName" in one]


def stacks(manifest: Json, folder: str) -> dict[str, str]:
    """Return the template of each stack, by the stack's artifact id."""
    found = _artifacts(manifest, STACK)
    return {name: posixpath.join(folder, str(one["properties"]["templateFile"])) for name, one in found.items()}


def asset_files(manifest: Json, folder: str) -> list[str]:
    """Return the paths of the asset manifests."""
    return [posixpath.join(folder, str(one["properties"]["file"])) for one in _artifacts(manifest, ASSETS).values()]


def _artifacts(manifest: Json, kind: str) -> dict[str, Json]:
    artifacts = manifest.get("artifacts") or {}
    return {name: one for name, one in artifacts.items() if one.get("type") == kind}


def templates(assets: Json, file: str) -> list[str]:
    """Return the paths of the templates among the assets of a manifest, nested stacks' too."""
    folder = posixpath.dirname(file)
    sources = (entry.get("source") or {} for entry in assets.get("files", {}).values())
    paths = (str(source.get("path", "")) for source in sources if source.get("packaging") == "file")
    return [posixpath.normpath(posixpath.join(folder, path)) for path in paths if path.endswith(".template.json")]


def rewritten(texts: Mapping[str, str], zips: Zips) -> Assembly:
    """Return the assembly with these zips in place of the assets of their resources."""
    result, left_alone, sources = dict(texts), list[str](), set[str]()
    for folder in folders(texts):
        path = posixpath.join(folder, MANIFEST)
        manifest = json.loads(texts[path])
        for file in asset_files(manifest, folder):
            of_stack = _Assets(file, json.loads(texts[file]), texts, zips)
            for name, template in stacks(manifest, folder).items():
                if template in of_stack.own_templates:
                    properties = manifest["artifacts"][name]["properties"]
                    of_stack.rewrite(template)
                    _point_at(properties, of_stack.renamed.get(template))
            result |= of_stack.texts | {file: _text(of_stack.without_unused(), 2)}
            left_alone += of_stack.left_alone
            sources |= of_stack.sources()
        result[path] = _text(manifest, 2)
    return Assembly(result, frozenset(sources), tuple(left_alone))


def _point_at(properties: Json, renamed: tuple[str, str] | None) -> None:
    url = properties.get("stackTemplateAssetObjectUrl")
    if renamed is not None and isinstance(url, str):
        properties["stackTemplateAssetObjectUrl"] = url.replace(*renamed)


class _Assets:
    """One asset manifest being rewritten, with the templates in it."""

    def __init__(self, file: str, data: Json, texts: Mapping[str, str], zips: Zips) -> None:
        self.folder, self.data, self.before, self.zips = posixpath.dirname(file), data, texts, zips
        self.own_templates = templates(data, file)
        self.texts: dict[str, str] = {}
        self.renamed: dict[str, tuple[str, str]] = {}
        """For each template that changed, its old id and its new one."""
        self.replaced: set[str] = set()
        """Ids of assets in whose place zips were put."""
        self.left_alone: list[str] = []

    def rewrite(self, path: str) -> str:
        """Rewrite a template, after the templates of stacks in it; return its text."""
        if path in self.texts:
            return self.texts[path]
        text = self.before[path]
        template = json.loads(text)
        self.texts[path] = text  # a template cannot contain itself, but who knows
        changes = [self._resource(path, name, one) for name, one in template.get("Resources", {}).items()]
        if any(changes):
            self.texts[path] = _text(template, 1)
            self._rename(path)
        return self.texts[path]

    def _resource(self, template: str, name: str, resource: Json) -> bool:
        """Change a resource in place; return whether it was changed."""
        asset = (resource.get("Metadata") or {}).get(PATH)
        if resource.get("Type") == "AWS::CloudFormation::Stack" and isinstance(asset, str):
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(template), asset))
            if inner not in self.own_templates:
                return False
            self.rewrite(inner)
            old, new = self.renamed.get(inner, ("", ""))
            if old:
                resource["Properties"] = json.loads(json.dumps(resource["Properties"]).replace(old, new))
            return bool(old)
        zip = self.zips.get(template, {}).get(name)
        return zip is not None and self._put(template, name, resource, zip)

    def _put(self, template: str, name: str, resource: Json, zip: Zip) -> bool:
        code = resource["Properties"][CODE[resource["Type"]]]
        key = code.get("S3Key")
        old = next((name for name, entry in self.data["files"].items() if key in _keys(entry)), "")
        if not isinstance(key, str) or not old:
            self.left_alone.append(
                f"{template}: the code of {name} stays as the CDK has it, because no asset has its key"
            )
            return False
        self._add(
            old, zip.sha256, {"path": posixpath.relpath(zip.file, self.folder or "."), "packaging": "file"}, ".zip"
        )
        code["S3Key"] = _renamed_key(key, old, zip.sha256, ".zip")
        resource["Metadata"][PATH] = posixpath.relpath(zip.file, posixpath.dirname(template) or ".")
        self.replaced.add(old)
        return True

    def _rename(self, template: str) -> None:
        """Give a template that changed an id of its content."""
        name = posixpath.relpath(template, self.folder or ".")
        old = next(key for key, entry in self.data["files"].items() if entry["source"].get("path") == name)
        new = hashlib.sha256(self.texts[template].encode()).hexdigest()
        self._add(old, new, self.data["files"][old]["source"], ".json")
        if new != old:
            del self.data["files"][old]
            self.renamed[template] = (old, new)

    def _add(self, old: str, new: str, source: Json, extension: str) -> None:
        entry = json.loads(json.dumps(self.data["files"][old]))
        for destination in entry["destinations"].values():
            destination["objectKey"] = _renamed_key(destination["objectKey"], old, new, extension)
        known = self.data["files"].get(new, {"destinations": {}})
        entry["destinations"] = known["destinations"] | entry["destinations"]
        self.data["files"][new] = {**entry, "source": source}

    def without_unused(self) -> Json:
        """Return the manifest without assets that only the replaced resources had."""
        used = "\n".join({**{path: self.before[path] for path in self.own_templates}, **self.texts}.values())
        files = self.data.get("files", {})
        kept = {name: one for name, one in files.items() if name not in self.replaced or name in used}
        return {**self.data, "files": kept}

    def sources(self) -> set[str]:
        """Return what the assets are made of, relative to the assembly's folder."""
        data = self.without_unused()
        entries = [*data.get("files", {}).values(), *data.get("dockerImages", {}).values()]
        paths = (entry["source"].get("path") or entry["source"].get("directory") for entry in entries)
        return {posixpath.normpath(posixpath.join(self.folder, path)) for path in paths if path}


def _keys(entry: Json) -> list[Any]:
    return [destination.get("objectKey") for destination in (entry.get("destinations") or {}).values()]


def _renamed_key(key: str, old: str, new: str, extension: str) -> str:
    """Return a key with another id in it; its prefix stays."""
    if old in key:
        return key.replace(old, new)
    return posixpath.join(posixpath.dirname(key), new + extension)


def _text(data: Json, indent: int) -> str:
    """Return JSON as the CDK writes it."""
    return json.dumps(data, indent=indent, ensure_ascii=False)
