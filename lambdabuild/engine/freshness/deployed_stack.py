"""Objects that the deployed stack uses: a layer that did not change keeps the object that it was made from."""

from __future__ import annotations

import base64

from lambdabuild.cloudformation.context import Artifact, Context
from lambdabuild.cloudformation.layers import layer_digest
from lambdabuild.core import naming
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Definition
from lambdabuild.engine.base.site import Site


def layer_keys(site: Site, name: str, sha256: str) -> dict[str, str]:
    """Return the keys that the deployed stack has for a build's layers, as far as their content is still the same.

    The stack tells by its outputs ``...LambdaLayerHash`` and ``...LambdaLayerS3Key``. It is asked once for a run, and
    only when artifacts go to S3. Each layer keeps its own key, because another one makes a new version of it.
    """
    definition = site.service.definition
    if definition is None or not site.bucket or site.settings.offline:
        return {}
    users = site.build(name).users
    layers = {
        one: what.removeprefix("layer:")
        for what, one in definition.artifacts.items()
        if what.startswith("layer:") and one in users
    }
    keys = {one: _key(site, definition, key, sha256) for one, key in layers.items()}
    return {one: key for one, key in keys.items() if key}


def _key(site: Site, definition: Definition, key: str, sha256: str) -> str:
    code_sha256 = base64.b64encode(bytes.fromhex(sha256)).decode()
    digest = layer_digest(Context(definition, {}), key, Artifact("", code_sha256, site.bucket))
    outputs = _outputs(site, definition)
    logical_id = naming.layer(key)
    return outputs.get(logical_id + "S3Key", "") if outputs.get(logical_id + "Hash") == digest else ""


def _outputs(site: Site, definition: Definition) -> dict[str, str]:
    with site.shared.lock:
        if site.shared.stack is None:
            site.shared.stack = _ask(site, definition)
        return site.shared.stack


def _ask(site: Site, definition: Definition) -> dict[str, str]:
    from lambdabuild.aws.lookups import Lookups

    name = naming.stack(definition.service, definition.stage, definition.data["provider"].get("stackName"))
    lookups = Lookups(profile=site.settings.profile, endpoint_url=site.settings.endpoint_url)
    try:
        return lookups.ask("cf", definition.region, name) or {}
    except LambdaBuildError:
        return {}  # credentials that may write to the bucket need not be allowed to see stacks
