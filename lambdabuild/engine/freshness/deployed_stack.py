"""Objects that the deployed stack uses: a layer that did not change keeps the object that it was made from."""

from __future__ import annotations

import base64

from lambdabuild.cloudformation.context import Artifact, Context
from lambdabuild.cloudformation.layers import layer_digest
from lambdabuild.core import naming
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Definition
from lambdabuild.engine.base import destination
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run


def layer_keys(run: Run, name: str, sha256: str) -> dict[str, str]:
    """Return the keys that the deployed stack has for a build's layers, as far as their content is still the same.

    The stack tells by its outputs ``...LambdaLayerHash`` and ``...LambdaLayerS3Key``. It is asked once for a run, and
    only when artifacts go to S3. Each layer keeps its own key, because another one makes a new version of it.
    """
    definition = run.project.service.definition
    if definition is None or not destination.bucket(run.project) or run.project.settings.offline:
        return {}
    users = run.index.builds[name].users
    layers = {
        one: what.removeprefix("layer:")
        for what, one in definition.artifacts.items()
        if what.startswith("layer:") and one in users
    }
    keys = {one: _key(run, definition, key, sha256) for one, key in layers.items()}
    return {one: key for one, key in keys.items() if key}


def _key(run: Run, definition: Definition, key: str, sha256: str) -> str:
    code_sha256 = base64.b64encode(bytes.fromhex(sha256)).decode()
    digest = layer_digest(Context(definition, {}), key, Artifact("", code_sha256, destination.bucket(run.project)))
    outputs = _outputs(run, definition)
    logical_id = naming.layer(key)
    return outputs.get(logical_id + "S3Key", "") if outputs.get(logical_id + "Hash") == digest else ""


def _outputs(run: Run, definition: Definition) -> dict[str, str]:
    return run.stack.get(lambda: _ask(run.project, definition))


def _ask(project: Project, definition: Definition) -> dict[str, str]:
    from lambdabuild.aws.lookups import Lookups

    name = naming.stack(definition.service, definition.stage, definition.data["provider"].get("stackName"))
    lookups = Lookups(profile=project.settings.profile, endpoint_url=project.settings.endpoint_url)
    try:
        return lookups.ask("cf", definition.region, name) or {}
    except LambdaBuildError:
        return {}  # credentials that may write to the bucket need not be allowed to see stacks
