"""Layers that make themselves: what ``share:plan`` decides from what was resolved, and the steps that make it files.

How many there are is known only when dependencies are resolved, so one chain of steps handles them all, and each step
touches only the layers that changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lambdabuild.artifacts import limits, merge, shared_namespaces
from lambdabuild.artifacts.entries import Entry, InArchive, content_digest
from lambdabuild.artifacts.trees import KnownTree
from lambdabuild.artifacts.zips import ZipSummary, write_zip
from lambdabuild.cloudformation.template_text.splice import AddedLayer
from lambdabuild.core import naming
from lambdabuild.core.atomic import remove
from lambdabuild.core.errors import CannotRead
from lambdabuild.core.model import Document, Location
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct, asdict
from lambdabuild.engine.base import destination, ownership, receipts
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.steps.contents import assemble
from lambdabuild.plan.layers import automatic
from lambdabuild.plan.layers.automatic import Package, SharedLayer
from lambdabuild.plan.types import LayerCandidate
from lambdabuild.rule_api import Archive, Part, Result, result_from_data

HEADERS_BYTES = 30 + 46
"""https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT 4.3.7 and 4.3.12, without the names."""

Known = dict[tuple[object, ...], tuple[Entry, ...]]
"""Entries that were looked at already."""


class Unit(Struct, frozen=True):
    """A package with the parts of a build's resolution that it is made of, by their positions."""

    package: Package
    positions: tuple[int, ...]
    territory: frozenset[str]


class Layer(Struct, frozen=True):
    """A shared layer as the record has it. ``origins`` gives for each package a build, and its parts in it."""

    name: str
    logical_id: str
    stack: str
    runtime: str
    architecture: str
    prefix: str
    packages: tuple[str, ...]
    """For people: ``numpy 2.1.0``."""
    zipped: int
    unzipped: int
    builds: tuple[str, ...]
    functions: tuple[str, ...]
    origins: tuple[tuple[str, tuple[int, ...]], ...]


class Share(Struct, frozen=True):
    """The packages of a build that are in layers: the layers, and for each package its parts and its territory."""

    layers: tuple[str, ...]
    units: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]
    digest: str
    """Of the packages, whatever their layers are called."""


class Decision(Struct, frozen=True):
    """Every layer, and each build's share."""

    layers: tuple[Layer, ...]
    shares: Mapping[str, Share]
    zipped: Mapping[str, int]
    """For each build all its packages, zipped, in bytes."""


# plan


def decide(run: Run) -> Decision | None:
    """Which layers there are by what is resolved; None when something is not."""
    results = {one.build: _resolved(run.project, one) for one in run.index.candidates.values()}
    if any(result is None for result in results.values()):
        return None
    known: Known = {}
    units = {
        build: list(_units(run, run.index.candidates[build], result, known))
        for build, result in results.items()
        if result
    }
    packages = {build: [unit.package for unit in ones] for build, ones in units.items()}
    layers = automatic.share(run.index.candidates.values(), packages, _taken(run))
    return Decision(
        layers=tuple(_layer(run.index, one, units, results) for one in layers),
        shares={build: _share(build, units[build], layers) for build in units},
        zipped={build: sum(package.zipped for package in ones) for build, ones in packages.items()},
    )


def _resolved(project: Project, candidate: LayerCandidate) -> Result | None:
    receipt = receipts.read(project.receipt("resolve", candidate.resolution))
    return result_from_data(receipt.result, project.roots) if receipt else None


def _units(run: Run, candidate: LayerCandidate, result: Result, known: Known) -> Iterator[Unit]:
    """The packages of a build; those that put files into one folder that is whole are one."""
    build = run.index.builds[candidate.build]
    claims = run.index.rules[build.key.rule].package_layers
    assert claims is not None  # else it would not take part
    positions = [n for n, part in enumerate(result.parts) if isinstance(part, Archive) and part.origin]
    entries_of_part = {n: _entries(run, candidate.build, result.parts[n], known) for n in positions}
    territories = [
        shared_namespaces.territory((e.path for e in entries_of_part[n]), claims.marker, claims.modules)
        for n in positions
    ]
    for group in shared_namespaces.groups(territories):
        own = [positions[n] for n in group]
        entries = [entry for n in own for entry in entries_of_part[n]]
        names = sorted(result.parts[n].origin.rpartition(" ")[0] for n in own)  # type: ignore[union-attr]  # archives
        package = Package(
            names=tuple(names),
            digest=content_digest(entries),
            zipped=sum(_zipped(entry, candidate.group.prefix) for entry in entries),
            unzipped=sum(entry.size for entry in entries),
        )
        if entries:
            yield Unit(package, tuple(own), frozenset[str]().union(*(territories[n] for n in group)))


def _zipped(entry: Entry, prefix: str) -> int:
    """The bytes of a file in a zip: its stream, its header before it and its line in the directory."""
    packed = entry.location.compressed_size if isinstance(entry.location, InArchive) else entry.size
    return packed + HEADERS_BYTES + 2 * len(f"{prefix}/{entry.path}".encode())


def _entries(run: Run, name: str, part: Part, known: Known) -> tuple[Entry, ...]:
    """Return the filtered entries of a part, made once for all builds with the same filter."""
    build = run.index.builds[name]
    key = (part, build.key.rule, build.key.leave_out_dependencies, build.key.globs, build.key.strip)
    if key not in known:
        known[key] = tuple(assemble.wanted(run, build, run.index.rules[build.key.rule], part, []))
    return known[key]


def _taken(run: Run) -> dict[str, frozenset[str]]:
    """Return the names that no layer may have: ids in the templates, names in the build folder."""
    names = {user for build in run.index.plan.builds for user in build.users} | {
        asset.name for asset in run.index.plan.assets
    }
    definition = run.project.service.definition
    if definition is not None:
        ids = (definition.data.get("resources") or {}).get("Resources") or {}
        names |= {*(definition.data.get("layers") or {}), *(name.removesuffix(naming.layer("")) for name in ids)}
        return {"": frozenset(names)}
    return {document.stack: document.names | names for document in run.project.service.documents}


def _layer(
    index: PlanIndex, layer: SharedLayer, units: Mapping[str, Sequence[Unit]], results: Mapping[str, Result | None]
) -> Layer:
    origins = []
    for package in layer.packages:
        positions = next(unit.positions for unit in units[layer.builds[0]] if unit.package == package)
        origins.append((layer.builds[0], positions))
    first = results[layer.builds[0]]
    parts = [first.parts[n] for _, positions in origins for n in positions] if first else []
    return Layer(
        name=layer.full_name,
        logical_id=layer.name,
        stack=layer.group.stack,
        runtime=layer.group.runtime,
        architecture=layer.group.architecture,
        prefix=layer.group.prefix,
        packages=tuple(sorted(part.origin for part in parts if isinstance(part, Archive))),
        zipped=layer.zipped,
        unzipped=layer.unzipped,
        builds=layer.builds,
        functions=tuple(sorted(user for build in layer.builds for user in index.builds[build].users)),
        origins=tuple(origins),
    )


def _share(build: str, units: Iterable[Unit], layers: Iterable[SharedLayer]) -> Share:
    own = [layer for layer in layers if build in layer.builds]
    inside = {package for layer in own for package in layer.packages}
    chosen = [unit for unit in units if unit.package in inside]
    digest = hashlib.sha256(json.dumps(sorted(unit.package.digest for unit in chosen)).encode()).hexdigest()
    units_of = tuple((unit.positions, tuple(sorted(unit.territory))) for unit in chosen)
    return Share(tuple(layer.full_name for layer in own), units_of, digest)


def _plan(run: Run) -> StepOutput:
    decision = decide(run)
    if decision is None:
        raise CannotRead("what was resolved is gone", help="doit forget resolve")
    record: Json = json.loads(json.dumps(_to_data(decision)))
    unzipped = {layer.name: layer.unzipped for layer in decision.layers}
    return StepOutput(
        output=hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest(),
        values={
            "shares": {build: share.digest for build, share in decision.shares.items()},
            "sizes": {build: [unzipped[name] for name in share.layers] for build, share in decision.shares.items()},
        },
        result=record,
    )


def _to_data(decision: Decision) -> Json:
    return {
        "layers": [asdict(layer) for layer in decision.layers],
        "shares": {build: asdict(share) for build, share in decision.shares.items()},
        "zipped": dict(decision.zipped),
    }


def decided(run: Run) -> Decision:
    """Return the last decision of ``share:plan``; an empty one when nobody takes part."""
    receipt = receipts.read(run.project.receipt("share", "plan")) if run.index.candidates else None
    if receipt is None:
        return Decision((), {}, {})
    data = receipt.result
    return Decision(
        layers=tuple(Layer(**_frozen(one)) for one in data["layers"]),
        shares={build: Share(**_frozen(one)) for build, one in data["shares"].items()},
        zipped=data["zipped"],
    )


def _frozen(data: JsonObject) -> Json:
    def frozen(value: Any) -> Any:
        return tuple(frozen(one) for one in value) if isinstance(value, list) else value

    return {key: frozen(value) for key, value in data.items()}


# zip, tree


def entries_of(run: Run, layer: Layer) -> tuple[Entry, ...]:
    """The files of a layer, at their paths in it."""
    known: Known = {}
    lists = []
    for build, positions in layer.origins:
        result = _resolved(run.project, run.index.candidates[build])
        for n in positions if result else ():
            part = result.parts[n]  # type: ignore[union-attr]  # there, by the condition above
            lists.append(merge.moved(_entries(run, build, part, known), (), layer.prefix, ()))
    entries, _ = merge.merge(lists)
    assemble.refuse_wrong_machines(f"layer {layer.name!r}", layer.architecture, entries)
    return entries


def _zip(run: Run) -> StepOutput:
    before, notes = run.saved("share:zip").get("layers", {}), list[str]()
    now: dict[str, Json] = {}
    ownership.claim(run, [output(run.project, "zip", layer.name) for layer in decided(run).layers])
    for layer in decided(run).layers:
        entries, target, kept = (
            entries_of(run, layer),
            run.project.zip(layer.name),
            run.project.record("zip", layer.name),
        )
        content = f"{inputs.ZIP_FORMAT} {content_digest(entries)}"
        if not _is_as_before(run, before.get(layer.name), content, target):
            ownership.make_room(run, target)
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            previous = ZipSummary.read(kept, target)
            summary = write_zip(target, entries, previous=[previous] if previous else [])
            summary.write(kept)
            now[layer.name] = {"content": content, "sha256": summary.sha256, "size": summary.size}
        else:
            now[layer.name] = before[layer.name]
        notes += limits.zip_notes(layer.name, now[layer.name]["size"])
    _remove_others(run, "zip", before, now)
    digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()
    size = sum(one["size"] for one in now.values())
    return StepOutput(digest, {"layers": now, "size": size, "notes": notes}, {"layers": now})


def _is_as_before(run: Run, last: JsonObject | None, content: str, target: str) -> bool:
    if last is None or last["content"] != content or not os.path.isfile(target):
        return False
    return bool(run.stats.digest(target) == last["sha256"])


def _remove_others(run: Run, step: str, before: Iterable[str], now: Iterable[str]) -> None:
    """Remove what layers left that no longer exist."""
    for name in set(before) - set(now):
        ownership.remove(run, output(run.project, step, name))
        remove(run.project.record(step, name))


def _tree(run: Run) -> StepOutput:
    layers = decided(run).layers
    names = [layer.name for layer in layers]
    ownership.claim(run, [output(run.project, "tree", name) for name in names], look_inside=True)
    for layer in layers:
        target, kept = run.project.tree(layer.name), run.project.record("tree", layer.name)
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        ownership.make_room(run, target)
        with run.trees_lock:
            entries = entries_of(run, layer)
            record = KnownTree(target, kept).update(entries, run.hardlinks)
            run.hardlinks.add(target, record, (entry.path for entry in entries))
    before = run.saved("share:tree").get("layers", ())
    _remove_others(run, "tree", before, names)
    return StepOutput(" ".join(names), {"layers": names}, {"layers": names})


# upload


def _upload(run: Run) -> StepOutput:
    from lambdabuild.engine.steps.delivery import artifacts

    receipt = receipts.read(run.project.receipt("share", "zip"))
    if receipt is None:
        raise CannotRead("what share:zip made is gone", help="doit forget share:zip")
    sent = {}
    for name, one in receipt.result["layers"].items():
        done = artifacts.put(
            run, destination.artifact_key(run.project, one["sha256"]), run.project.zip(name), one["sha256"], one["size"]
        )
        sent[name] = {**asdict(done), "location": run.project.portable(done.location)}
    places = {name: one["location"] for name, one in sent.items()}
    return StepOutput(
        output=hashlib.sha256(json.dumps(places, sort_keys=True).encode()).hexdigest(),
        values={"objects": [[one["size"], one["sent"]] for one in sent.values()], "locations": list(places.values())},
        result={"layers": sent},
    )


STEPS: Mapping[str, Callable[[Run], StepOutput]] = {"plan": _plan, "zip": _zip, "upload": _upload, "tree": _tree}
IN_FILES = ("zip", "tree")
"""The steps that write the layers into the build folder."""


def sent(run: Run) -> Mapping[str, JsonObject]:
    """For each layer where it was put: location, key, sha256, size."""
    receipt = receipts.read(run.project.receipt("share", "upload")) if run.index.candidates else None
    layers: Mapping[str, JsonObject] = receipt.result["layers"] if receipt else {}
    return layers


def added(run: Run, document: Document, locate: Callable[[str], Location | None]) -> Iterator[AddedLayer]:
    """Yield the layers that are added to a template."""
    for layer in decided(run).layers:
        location = locate(layer.name)
        if layer.stack == document.stack and location is not None:
            yield AddedLayer(
                logical_id=layer.logical_id,
                runtime=layer.runtime,
                architecture=layer.architecture,
                description=", ".join(layer.packages),
                location=location,
                functions=layer.functions,
            )


def left_by(project: Project, step: str) -> list[str]:
    """The layers that a step (zip, tree) wrote when it last ran."""
    receipt = receipts.read(project.receipt("share", step))
    return list(receipt.result["layers"]) if receipt is not None else []


def output(project: Project, step: str, layer: str) -> Output:
    return Output(project.zip(layer)) if step == "zip" else tree_output(project, layer)
