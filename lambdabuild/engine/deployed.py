"""What the stack has deployed already: a layer that did not change keeps the object that it was made from."""

from __future__ import annotations

import base64

from lambdabuild import naming
from lambdabuild.cloudformation.context import Artifact, Context
from lambdabuild.cloudformation.layers import layer_digest
from lambdabuild.engine.site import Site
from lambdabuild.errors import LambdaBuildError
from lambdabuild.model import Definition


def layer_key(site: Site, name: str, sha256: str) -> str:
    """The key under which the deployed stack has a layer of this content; "" when it has none, or cannot be asked.

    The stack tells by its outputs ``...LambdaLayerHash`` and ``...LambdaLayerS3Key``. It is asked once for a run, and
    only when artifacts go to S3.
    """
    definition = site.service.definition
    if definition is None or not site.bucket or site.settings.offline:
        return ""
    users = site.build(name).users
    for what, artifact_name in definition.artifacts.items():
        section, _, key = what.partition(":")
        if section == "layer" and artifact_name in users:
            found = _key(site, definition, key, sha256)
            if found:
                return found
    return ""


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
