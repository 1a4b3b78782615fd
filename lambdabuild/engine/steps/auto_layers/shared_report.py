"""Bytes that automatic layers save, for ``lambdabuild plan``, from the last resolution and the last zips."""

from __future__ import annotations

from collections.abc import Iterator

from lambdabuild.core.messages import size_text
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.auto_layers.shared_layers import Decision, Share

FIRST = "shared layers: known when the packages are resolved; run lambdabuild resolve, or build"


def data(run: Run) -> Json | None:
    """The layers, and the bytes of each function with and without them; None when nothing shares or is resolved.

    ``is_built`` says whether a function's own code is counted; before the first build its packages are.
    """
    decision = shared_layers.decide(run) if run.index.candidates else None
    if decision is None:
        return None
    functions = dict(_functions(run, decision))
    builds = [functions[run.index.builds[build].users[0]] for build in decision.shares]
    layers = [
        {
            "name": layer.name,
            "packages": list(layer.packages),
            "functions": list(layer.functions),
            "runtime": layer.runtime,
            "architecture": layer.architecture,
            "zipped_bytes": layer.zipped,
            "unzipped_bytes": layer.unzipped,
        }
        for layer in decision.layers
    ]
    return {
        "layers": layers,
        "functions": functions,
        "bytes_as_separate_zips": sum(one["upload_bytes_without_layers"] for one in builds),
        "bytes_with_layers": sum(one["upload_bytes"] for one in builds) + sum(one.zipped for one in decision.layers),
    }


def _functions(run: Run, decision: Decision) -> Iterator[tuple[str, Json]]:
    zipped = {layer.name: layer.zipped for layer in decision.layers}
    for build, share in sorted(decision.shares.items()):
        in_layers = sum(zipped[name] for name in share.layers)
        size = _zip_size(run.project, build, share)
        own = decision.zipped[build] - in_layers if size is None else size
        sizes = {"layers": list(share.layers), "upload_bytes": own, "upload_bytes_without_layers": own + in_layers}
        yield from ((user, sizes | {"is_built": size is not None}) for user in run.index.builds[build].users)


def _zip_size(project: Project, build: str, share: Share) -> int | None:
    """Of the zip as it was last built, if that was with the same packages in layers."""
    copied, hashed = (
        receipts.read(project.receipt("copy", build)),
        receipts.read(project.receipt("hash", build)),
    )
    if copied is None or hashed is None or copied.components.get("packages in layers") != share.digest:
        return None
    return int(hashed.result["size"])


def text(run: Run) -> str:
    """The same for people, "" when auto_layers is not asked for."""
    report = data(run)
    if report is None:
        return f"{FIRST}\n" if run.index.candidates else ""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: JsonObject) -> Iterator[str]:
    for layer in report["layers"]:
        kind = f"({layer['runtime']}, {layer['architecture']})"
        yield f"shared layer {layer['name']}  {size_text(layer['zipped_bytes'])}  {kind}"
        yield f"  {', '.join(layer['packages'])}"
        yield f"  for {', '.join(layer['functions'])}"
    is_built = all(one["is_built"] for one in report["functions"].values())
    yield "an edit of one function's source uploads" + ("" if is_built else " its own code, and of packages")
    for name, one in report["functions"].items():
        yield f"  {name}: {size_text(one['upload_bytes'])} instead of {size_text(one['upload_bytes_without_layers'])}"
    together, apart = report["bytes_with_layers"], report["bytes_as_separate_zips"]
    yield f"all together: {size_text(together)} with shared layers, {size_text(apart)} as separate zips"
