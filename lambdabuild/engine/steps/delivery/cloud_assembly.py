"""Write ``build/cdk.out``: the cloud assembly with our zips in it, which ``cdk deploy --app build/cdk.out`` takes."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Iterator

from lambdabuild.artifacts import trees
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.trees import KnownTree, TreeRecord
from lambdabuild.cloudformation.template_text import cloud_assembly
from lambdabuild.cloudformation.template_text.cloud_assembly import MANIFEST, Zip
from lambdabuild.core import regular
from lambdabuild.core.atomic import write_text
from lambdabuild.core.plain import Json
from lambdabuild.engine.base import ownership, receipts
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.run import Run

NAME = "cdk.out"
CACHE = ".cache"
"""Where the CDK's publisher keeps zips by their ids alone."""


def output(run: Run) -> Output:
    return tree_output(run.project, NAME)


def inputs_of(run: Run) -> str:
    """Return a digest of the assembly's files: of what is not built here, all bytes."""
    if not run.project.service.assembly:
        return ""
    folder = _folder(run)
    texts = _texts(folder)
    copied = _others(folder, texts, _zips(run, folder))
    names = [(path, run.stats.digest(os.path.join(folder, path))) for path in copied]
    return hashlib.sha256(json.dumps([texts, names], sort_keys=True).encode()).hexdigest()


def write(run: Run) -> list[str]:
    """Write the assembly; return notes."""
    folder = _folder(run)
    texts, zips = _texts(folder), _zips(run, folder)
    assembly = cloud_assembly.rewritten(texts, zips)
    entries = [_own(run, path, text) for path, text in assembly.texts.items()]
    entries += [_file(run, path, os.path.join(folder, path)) for path in _others(folder, texts, zips)]
    entries += [_file(run, zip.file, path) for zip, path in _files(run).items()]
    target, kept = output(run).path, output(run).record
    ownership.make_room(run, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    KnownTree(target, kept).update(sorted(entries, key=lambda entry: entry.path), None, run.stats.recent)
    return list(assembly.left_alone)


def is_intact(run: Run) -> bool:
    record = TreeRecord.read(output(run).record)
    return record is not None and trees.is_intact(output(run).path, record, run.stats.digest)


def _folder(run: Run) -> str:
    return run.project.path(run.project.service.assembly)


def _texts(folder: str) -> dict[str, str]:
    """Return the manifests and templates of an assembly, by their paths in it."""
    texts: dict[str, str] = {}
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        path = posixpath.join(inner, MANIFEST)
        texts[path] = regular.read_text(os.path.join(folder, path))
        manifest: Json = regular.json(texts[path])
        waiting += cloud_assembly.nested(manifest, inner)
        for file in cloud_assembly.asset_files(manifest, inner):
            texts[file] = regular.read_text(os.path.join(folder, file))
            for template in cloud_assembly.templates(regular.json(texts[file]), file):
                texts[template] = regular.read_text(os.path.join(folder, template))
    return texts


def _zips(run: Run, folder: str) -> dict[str, dict[str, Zip]]:
    """Return the zips of the functions and layers that were built, by template and logical id."""
    zips: dict[str, dict[str, Zip]] = {}
    built = _built(run)
    for document in run.project.service.documents:
        template = posixpath.relpath(document.path, run.project.service.assembly)
        for target in dict.fromkeys(one.target for one in document.rewrites if one.target in built):
            zips.setdefault(template, {})[target.rpartition("/")[2]] = Zip(_sha256(run, target))
    return zips


def _files(run: Run) -> dict[Zip, str]:
    """Return the file of each zip."""
    targets = dict.fromkeys(one.target for document in run.project.service.documents for one in document.rewrites)
    built = _built(run)
    return {Zip(_sha256(run, target)): run.project.zip(target) for target in targets if target in built}


def _built(run: Run) -> frozenset[str]:
    """Return what has a zip: not what this run leaves out because its tools are missing."""
    builds = (build for build in run.index.plan.builds if build.name not in run.index.unbuildable)
    return frozenset(user for build in builds for user in build.users)


def _sha256(run: Run, target: str) -> str:
    receipt = receipts.read(run.project.receipt("hash", run.index.plan.build_of(target).name))
    return str(receipt.result["sha256"]) if receipt is not None else ""


def _others(folder: str, texts: dict[str, str], zips: dict[str, dict[str, Zip]]) -> Iterator[str]:
    """Yield the files that are copied: all but what is rewritten, and the assets that nobody needs any more."""
    needed = cloud_assembly.rewritten(texts, zips).sources
    for path in _walk(folder, ""):
        top = next((one for one in _parents(path) if posixpath.basename(one).startswith("asset.")), "")
        if path not in texts and (not top or top in needed):
            yield path


def _parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = posixpath.dirname(path)


def _walk(folder: str, inside: str) -> Iterator[str]:
    with os.scandir(os.path.join(folder, inside)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = posixpath.join(inside, entry.name)
            if entry.is_dir() and path != CACHE:
                yield from _walk(folder, path)
            elif entry.is_file():
                yield path


def _own(run: Run, path: str, text: str) -> Entry:
    """Return the entry of a text of ours, which is kept in the state."""
    file = os.path.join(run.project.out("assembly", NAME), path)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    write_text(file, text)
    return _file(run, path, file)


def _file(run: Run, path: str, file: str) -> Entry:
    status = os.stat(file)
    return Entry(path, bool(status.st_mode & 0o100), status.st_size, run.stats.digest(file, status), FileOnDisk(file))
