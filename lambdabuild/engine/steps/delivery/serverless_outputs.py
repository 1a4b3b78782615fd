"""A serverless.yml's own outputs: the template compiled with the artifacts as they were sent, and the Serverless
Framework's files."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from lambdabuild.cloudformation import limits, stack
from lambdabuild.cloudformation.context import Artifact
from lambdabuild.cloudformation.shared import SharedLayer, with_layers
from lambdabuild.cloudformation.template_text.write import as_text
from lambdabuild.core import naming, regular
from lambdabuild.core.atomic import write_text
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Definition
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import secret_texts
from lambdabuild.core.store import sha256_of
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.template_files import CREATE, DEPLOY, MANIFEST, STATE, TEMPLATE, UPDATE, names_bucket

if TYPE_CHECKING:
    from lambdabuild.engine.base.run import Run

LEAST_INSIDE = 4
"""Characters of a secret that is looked for inside of other texts; a shorter one is part of many words."""
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)

Items = Mapping[str, Mapping[str, Any]]
"""Artifacts by name, as the manifest tells them."""
Built = Callable[[str], "Artifact | None"]
"""The artifact of a name in the plan as it was last built and sent, None when it was not."""


class Written(Struct, frozen=True):
    """Files as ``{path: sha256}``, and what the run says: the command that deploys them, and notes."""

    files: dict[str, str]
    deploy_command: str = ""
    is_sent: bool = False
    """True if the zips are in S3, where the template says they are."""
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> Json:
        """The values for the reporter."""
        values = {"deploy_command": self.deploy_command, "is_sent": self.is_sent} if self.deploy_command else {}
        return values | ({"notes": list(self.notes)} if self.notes else {})


def write(run: Run, definition: Definition, shared: Items) -> Written:
    """Compile and write the template, how its stack is deployed, and the Serverless Framework's files when they are
    wanted.

    ``shared`` are the shared layers, as the manifest has them.
    """
    definition = with_layers(definition, _shared(shared))
    artifacts = artifacts_of(definition, run.project.folder, lambda name: _built(shared.get(name)) or _sent(run, name))
    template = _compile(definition, artifacts)
    settings, text = stack.settings(definition, template), as_text(template)
    path = os.path.join(run.project.build_dir, TEMPLATE)
    written = {path: text, os.path.join(run.project.build_dir, DEPLOY): as_text(settings)}
    notes = stack.notes(settings)
    if run.project.settings.serverless_dir:
        written[os.path.join(run.project.path(run.project.settings.serverless_dir), UPDATE)] = text
        written |= _compatible(run, definition, artifacts, template, notes)
    for place, content in written.items():
        os.makedirs(os.path.dirname(place), exist_ok=True)
        write_text(place, content)
    bucket = (destination.bucket(run.project) or "BUCKET") if len(text.encode()) > stack.LARGEST_BODY else ""
    command = stack.command(settings, os.path.relpath(path, run.project.folder), _secrets(definition), bucket)
    digests = {place: hashlib.sha256(content.encode()).hexdigest() for place, content in written.items()}
    return Written(digests, command, bool(destination.bucket(run.project)), tuple(notes))


def _secrets(definition: Definition) -> set[str]:
    """Texts that only files say that are deployed; names that everything bears are none."""
    return secret_texts(definition.root) - {definition.stage, definition.region, definition.service}


def refuse_what_cannot_be_compiled(definition: Definition, project: str) -> None:
    """Raise now, before anything is built, what the template step would raise in the end."""
    artifacts = artifacts_of(definition, project, lambda name: None)
    template = _compile(definition, artifacts)
    limits.check(template, as_text(template), definition)


def alone(definition: Definition, project: str, build_dir: str) -> tuple[str, LambdaBuildError | None]:
    """The template's text, and what CloudFormation would refuse in it: artifacts as last built, or empty ones."""
    known = _manifest(build_dir)
    shared: Items = known.get("shared_layers", {})
    definition = with_layers(definition, _shared(shared))
    items = {**known.get("functions", {}), **known.get("layers", {}), **known.get("assets", {}), **shared}
    artifacts = artifacts_of(definition, project, lambda name: _built(items.get(name)))
    template = _compile(definition, artifacts)
    text = as_text(template)
    try:
        limits.check(template, text, definition)
    except LambdaBuildError as error:
        return text, error
    return text, None


def _compile(definition: Definition, artifacts: dict[str, Artifact]) -> Json:
    from lambdabuild.cloudformation import compiler  # 60 modules that a project without a serverless.yml never needs

    return compiler.compile(definition, artifacts)


def artifacts_of(definition: Definition, project: str, built: Built) -> dict[str, Artifact]:
    """Return the places of all zips and images."""
    return {
        what: _in_s3(name) if name.startswith("s3://") else built(name) or _unbuilt(definition, project, what)
        for what, name in definition.artifacts.items()
    }


def _in_s3(address: str) -> Artifact:
    """One that somebody put there; what is in it is not known, so its address stands for its content."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return Artifact(key, "", bucket)


def _unbuilt(definition: Definition, project: str, what: str) -> Artifact:
    """A ready artifact counts as what it is, any other as an empty zip."""
    section, _, key = what.partition(":")
    data = definition.data
    if section == "image":
        return _unbuilt_image(definition)
    own = (data[f"{section}s"][key].get("package") or {}).get("artifact")
    ready = own or (section == "function" and (data.get("package") or {}).get("artifact")) or ""
    path = os.path.join(project, os.path.dirname(definition.path), ready)
    sha256 = sha256_of(path) if ready and os.path.isfile(path) else hashlib.sha256(EMPTY_ZIP).hexdigest()
    extension = os.path.splitext(ready)[1] or ".zip"
    return Artifact(definition.key(sha256, extension), _base64(sha256))


def _unbuilt_image(definition: Definition) -> Artifact:
    repository = naming.repository(definition.service, definition.stage)
    nothing = "0" * 64
    address = f"000000000000.dkr.ecr.{definition.region}.amazonaws.com/{repository}"
    return Artifact(f"{address}@sha256:{nothing}", nothing)


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _sent(run: Run, name: str) -> Artifact | None:
    owner = next((unit.name for unit in run.index.plan.made if name in unit.users), name)
    receipt = receipts.read(run.project.receipt("upload", owner))
    if receipt is None:
        return None
    if owner in run.index.images:
        return Artifact(receipt.result["location"], receipt.result["sha256"])
    bucket, key = place(receipt.result["location"], receipt.result["key"])
    key = receipt.result.get("deployed", {}).get(name, key)
    return Artifact(key, _base64(receipt.result["sha256"]), bucket)


def place(location: str, key: str) -> tuple[str, str]:
    """Bucket and key of what was sent; in a folder store the key alone counts."""
    if not location.startswith("s3://"):
        return "", key
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _manifest(build_dir: str) -> Json:
    """Return the manifest of the last build, {} if there was none."""
    try:
        with open(os.path.join(build_dir, MANIFEST), encoding="utf-8", opener=regular.opener) as stream:
            return cast("Json", regular.json(stream.read()))
    except (OSError, ValueError):
        return {}


def _built(item: JsonObject | None) -> Artifact | None:
    if not item or not item.get("key"):
        return None
    bucket, key = place(item["location"], item["key"])
    return Artifact(key, item["code_sha256"], bucket)


def _shared(items: Items) -> list[SharedLayer]:
    return [
        SharedLayer(key, tuple(one["packages"]), one["runtime"], one["architecture"], tuple(one["functions"]))
        for key, one in items.items()
    ]


# the Serverless Framework's files


def _compatible(
    run: Run, definition: Definition, artifacts: dict[str, Artifact], template: Json, notes: list[str]
) -> dict[str, str]:
    """Return the files that ``serverless package`` writes next to the template, for ``deploy --package`` and
    scripts."""
    from lambdabuild.cloudformation import compiler

    folder = run.project.path(run.project.settings.serverless_dir)
    os.makedirs(folder, exist_ok=True)
    files = {
        what: one.key if what.startswith("image:") else _beside(run, folder, definition.artifacts[what], one.key)
        for what, one in artifacts.items()
    }
    core = compiler.compile_core(definition)
    state = _state(definition, files)
    state["service"]["provider"] |= {"compiledCloudFormationTemplate": template, "coreCloudFormationTemplate": core}
    state, left_out = without_secrets(state, _secrets(definition))
    if left_out:
        notes.append(
            f"{STATE} is without {', '.join(left_out)}, for values in them are secret: `serverless deploy --package`"
            f" lacks them, and {DEPLOY} has them"
        )
    files_written = {os.path.join(folder, STATE): as_text(state)}
    return files_written if names_bucket(definition) else files_written | {os.path.join(folder, CREATE): as_text(core)}


def without_secrets(state: Json, secrets: set[str]) -> tuple[Json, list[str]]:
    """The state without the provider's settings and the events that hold a secret, and the names of those settings."""
    long = [secret for secret in secrets if len(secret) >= LEAST_INSIDE]

    def is_open(value: Any) -> bool:
        return not any(text in secrets or any(secret in text for secret in long) for text in stack.texts(value))

    service = state["service"]
    provider = {key: value for key, value in service["provider"].items() if is_open(value)}
    functions = {
        key: {**one, "events": [event for event in one["events"] if is_open(event)]}
        for key, one in service["functions"].items()
    }
    left_out = [key for key in service["provider"] if key not in provider]
    return {**state, "service": {**service, "provider": provider, "functions": functions}}, left_out


def _beside(run: Run, folder: str, name: str, key: str) -> str:
    """The zip under its name in the bucket, in the folder; its file name."""
    asset = run.index.assets.get(name)
    source = run.project.path(asset.source) if asset is not None else run.project.zip(name)
    base = key.rpartition("/")[2]
    target = os.path.join(folder, base)
    if os.path.exists(source) and not os.path.exists(target):
        try:
            os.link(os.path.realpath(source), target)
        except OSError:
            shutil.copyfile(source, target)
    return base


def _state(definition: Definition, files: Mapping[str, str]) -> Json:
    """Return the state that a deployment needs, without paths of this machine.

    A zip lies in ``.serverless``, where a deployment puts what it is given before it looks; each function names its
    own, for one that is not packaged individually would be the zip of the whole service.
    """
    data = definition.data
    functions = {}
    for key, one in (data.get("functions") or {}).items():
        functions[key] = {
            "name": one.get("name") or f"{definition.service}-{definition.stage}-{key}",
            "handler": one.get("handler"),
            "package": _packaged(files, f"function:{key}") | {"individually": True},
            "events": one.get("events") or [],
        } | ({"image": files[f"image:{key}"]} if f"image:{key}" in files else {})
    layers = {key: {"package": _packaged(files, f"layer:{key}")} for key in data.get("layers") or {}}
    provider = {"name": "aws", "stage": definition.stage, "region": definition.region}
    return {
        "service": {
            "service": definition.service,
            "serviceObject": {"name": definition.service},
            "provider": provider | stack.provider_keys(definition),
            "functions": functions,
            "layers": layers,
        },
        "package": {
            "individually": bool((data.get("package") or {}).get("individually")),
            "artifactDirectoryName": definition.folder,
            "artifact": "",
        },
    }


def _packaged(files: Mapping[str, str], what: str) -> Json:
    return {"artifact": f".serverless/{files[what]}"} if what in files else {}
