"""A build's results for other programs: where an artifact is and what its digest is, after it was built.

folder, settings, names  --current-->  items      what the last run built, if all of it is still up to date
Run, names               --tasks-->    tasks      what has to run else
Run, names               --built-->    items      after it ran
items                    --FORMATS-->  text       JSON, Terraform's protocol, CDK's, variables of a shell
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lambdabuild.core.units import SHARED, TEMPLATE

if TYPE_CHECKING:
    from lambdabuild.core.plain import Json, JsonObject
    from lambdabuild.engine.base.run import Run
    from lambdabuild.engine.base.snapshot import Snapshot

Items = dict[str, "Json"]
"""What the manifest says by name, with paths as seen from the caller's folder, and layers as items of their own."""

GROUPS = ("functions", "layers", "sources", "shared_layers")
PATHS = ("zip", "tree", "location")
"""Keys of an item that are paths; a location may be an address instead."""
ADDRESS = re.compile(r"[a-z0-9]+://")


def current(last_run: Snapshot | None, names: Sequence[str], here: str) -> Items | None:
    """Return the items of what the last run built; None if anything about them may have changed.

    Loads no project: the snapshot says what is up to date, and manifest.json where it is.
    """
    if last_run is None or not last_run.holds([TEMPLATE]):
        return None
    from lambdabuild.engine.steps.delivery import manifest

    known = manifest.read(last_run.place)
    items = {name: _find(known, name) for name in names}
    if any(item is None for item in items.values()):
        return None
    layers = [layer for item in items.values() if item for layer in _layers_of(item)]
    wanted = {task for name in (*names, *layers) for task in (f"build:{name}", f"layer:{name}", f"source:{name}")}
    if not last_run.answers(wanted & last_run.owners.keys()):
        return None
    return _as_seen(items, lambda name: _find(known, name), last_run.place, here)


def _find(known: JsonObject, name: str) -> Json | None:
    return next((known[group][name] for group in GROUPS if name in known.get(group, {})), None)


def tasks(run: Run, names: Iterable[str]) -> list[str]:
    """Return the tasks that make what is named and the layers that it runs with."""
    functions, wanted = run.index.functions, []
    for name in names:
        layers = functions[name].layers if name in functions else ()
        wanted += [f"layer:{layer}" for layer in layers]
    if run.index.sharing_steps and SHARED in run.index.graph.by_unit:
        wanted.append("share:upload")
    return wanted


def built(run: Run, names: Sequence[str], here: str) -> Items:
    """Return the items of what this run has built."""
    from lambdabuild.engine.steps.delivery import manifest

    shared = manifest.shared_layers_as_data(run)

    def find(name: str) -> Json:
        return shared[name] if name in shared else manifest.item_of(run, name)

    return _as_seen({name: find(name) for name in names}, find, run.project.build_dir, here)


def everything(build_dir: str, here: str) -> Items:
    """Return the items of all that the last run of everything built."""
    from lambdabuild.engine.steps.delivery import manifest

    known = manifest.read(build_dir)
    names = [name for group in ("functions", "layers", "sources") for name in known.get(group, {})]
    return _as_seen({name: _find(known, name) for name in names}, lambda name: _find(known, name), build_dir, here)


def _layers_of(item: JsonObject) -> list[str]:
    return [*item.get("layers", ()), *item.get("shared_layers", ())]


def _as_seen(items: Mapping[str, Json | None], find: Callable[[str], Json | None], build_dir: str, here: str) -> Items:
    """Return items with paths as seen from ``here``, each with its layers whole."""

    def seen(name: str, item: JsonObject) -> Json:
        paths = {
            key: os.path.relpath(os.path.join(build_dir, item[key]), here)
            for key in PATHS
            if item.get(key) and not ADDRESS.match(item[key])
        }
        return {"name": name, **item, **paths}

    result = {}
    for name, item in items.items():
        if item is not None:
            layers = [seen(layer, of_layer) for layer in _layers_of(item) if (of_layer := find(layer)) is not None]
            result[name] = seen(name, item) | ({"layers": layers} if "layers" in item else {})
            result[name].pop("shared_layers", None)
    return result


# formats


def as_json(items: Items) -> str:
    """Return the item of one name, or an object of several by name."""
    return all_as_json(next(iter(items.values())) if len(items) == 1 else items)


def all_as_json(items: Json) -> str:
    return json.dumps(items, indent=2, sort_keys=True) + "\n"


def as_terraform(items: Items) -> str:
    """Return one flat object of texts, which is all that Terraform's ``data "external"`` takes.

    The page of the provider hashicorp/external, "External Program Protocol".
    """
    ((name, item),) = items.items()
    layers = [{"name": layer["name"], **_of_terraform(layer)} for layer in item.get("layers", ())]
    return json.dumps({"name": name, **_of_terraform(item), "layers": json.dumps(layers)}, indent=2) + "\n"


def _of_terraform(item: JsonObject) -> dict[str, str]:
    bucket, key = _in_s3(item)
    return {
        "filename": "" if bucket else item.get("zip", ""),
        "source_code_hash": "" if _is_image(item) else item["code_sha256"],
        "s3_bucket": bucket,
        "s3_key": key,
        "image_uri": item["location"] if _is_image(item) else "",
        "sha256": item["sha256"],
        "runtime": item.get("runtime", ""),
        "architecture": item.get("architecture", ""),
        "handler": item.get("handler", ""),
    }


def as_cdk(items: Items) -> str:
    """Return by name what ``Code.fromAsset(path, {assetHash, assetHashType: AssetHashType.CUSTOM})`` takes."""
    return json.dumps({name: _of_cdk(item) for name, item in items.items()}, indent=2) + "\n"


def _of_cdk(item: JsonObject) -> Json:
    layers = [{"name": layer["name"], **_of_cdk(layer)} for layer in item.get("layers", ())]
    return {"path": item.get("zip", ""), "assetHash": item["sha256"]} | ({"layers": layers} if layers else {})


def as_variables(items: Items) -> str:
    """Return lines for a shell: ``ORDERS_ZIP=build/Orders.zip``."""
    return "".join(line for name, item in items.items() for line in _variables(name, item))


def _variables(name: str, item: JsonObject) -> list[str]:
    bucket, key = _in_s3(item)
    values = {
        "ZIP": item.get("zip", ""),
        "TREE": item.get("tree", ""),
        "IMAGE": item.get("image", ""),
        "SHA256": item["sha256"],
        "CODE_SHA256": item["code_sha256"],
        "BYTES": str(item.get("zip_bytes", item.get("image_bytes", ""))),
        "LOCATION": item["location"],
        "S3_BUCKET": bucket,
        "S3_KEY": key,
    }
    prefix = re.sub(r"\W", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).upper()
    return [f"{prefix}_{key}={shlex.quote(value)}\n" for key, value in values.items() if value]


def _is_image(item: JsonObject) -> bool:
    return item.get("kind") == "image"


def _in_s3(item: JsonObject) -> tuple[str, str]:
    """Return the bucket and the key of an item; two empty texts if it is in none."""
    location = str(item["location"])
    if not location.startswith("s3://"):
        return "", ""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


FORMATS: Mapping[str, Callable[[Items], str]] = {
    "json": as_json,
    "terraform": as_terraform,
    "cdk": as_cdk,
    "env": as_variables,
}
"""Who the text is for, as ``lambdabuild output --for`` names it, and what makes it."""


def query_of(text: str) -> dict[str, str] | None:
    """Return the query that Terraform writes to standard input, {} when there is none; None when it is no object of
    texts.
    """
    if not text.strip():
        return {}
    try:
        query: Any = json.loads(text)
    except ValueError:
        return None
    is_flat = isinstance(query, dict) and all(isinstance(value, str) for value in query.values())
    return query if is_flat else None
