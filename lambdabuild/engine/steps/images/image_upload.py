"""An image -> its place in a repository, by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lambdabuild.core.errors import Offline, PushFailed
from lambdabuild.core.model import Tagged
from lambdabuild.core.naming import ECR_URI
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.docker import engine_api
from lambdabuild.docker.engine_api import ApiClient, Refused
from lambdabuild.engine.base import destination
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.images import image_calls, images
from lambdabuild.plan.types import ImageBuild

if TYPE_CHECKING:
    from lambdabuild.aws.ecr import NewRepository


class PushedImage(Struct, frozen=True):
    """``location`` is ``REPOSITORY@sha256:...``; ``sent`` is False when the registry had it."""

    location: str
    digest: str
    sent: bool
    size: int


def send(run: Run, name: str, made: JsonObject) -> PushedImage:
    """Push an image under its digest as a tag, unless the registry has that, and under those asked for.

    ``made`` is the result of the image step.
    """
    image = run.index.images[name]
    repository, credentials = _repository(run, image)
    with engine_api.client(image_calls.timeout(run.project)) as engine:
        local = made if image_calls.id_of(engine, made["id"]) else _result(images.find_or_build(run, image, engine))
        own = local["id"].partition(":")[2]
        digest = _digest_there(engine, f"{repository}:{own}", credentials)
        tags = [*([] if digest else [own]), *image.key.push_tags]
        for tag in tags:
            digest = _push(run.index, image, engine, local["id"], repository, tag, credentials)
    return PushedImage(f"{repository}@{digest}", digest, own in tags, local["size"])


def is_there(run: Run, name: str, location: str) -> bool:
    """Return whether the registry has what was pushed. Raises NoEngine (LB801), for an engine has to ask it."""
    _, credentials = _repository(run, run.index.images[name])
    with engine_api.client(image_calls.timeout(run.project)) as engine:
        return bool(_digest_there(engine, location, credentials))


def _result(made: images.BuiltImage) -> Json:
    return {"id": made.id, "size": made.size}


def _digest_there(engine: ApiClient, name: str, credentials: Mapping[str, str] | None) -> str:
    """The digest that a registry has under a name, "" when it has none, or does not tell."""
    try:
        with engine_api.refusals():
            return str(engine.inspect_distribution(name, auth_config=credentials)["Descriptor"]["digest"])
    except Refused:
        return ""


def _push(
    index: PlanIndex,
    image: ImageBuild,
    engine: ApiClient,
    image_id: str,
    repository: str,
    tag: str,
    credentials: Mapping[str, str] | None,
) -> str:
    name = f"{repository}:{tag}"
    try:
        with engine_api.refusals():
            engine.tag(image_id, repository, tag, force=True)
            _, facts = image_calls.follow(
                engine.push(repository, tag=tag, stream=True, decode=True, auth_config=credentials)
            )
    except Refused as refused:
        raise PushFailed(
            f"{image_calls.users_of(image)} cannot be pushed to {name}: {refused.words}",
            where=index.described_images[image.name].where,
            help="check the repository's name and your rights to it; docker login, or a credential helper, gives them",
        ) from refused
    finally:
        image_calls.untag(engine, name)
    return str(facts["Digest"])


def _repository(run: Run, image: ImageBuild) -> tuple[str, dict[str, str] | None]:
    """The repository's address, and credentials when it is ECR's; for others docker knows them."""
    named, own = image.key.repository, image.key.repository.startswith("ecr:")
    there = ECR_URI.match(named)
    if not own and there is None:
        return named, None
    from lambdabuild.aws.ecr import Registry

    account, region = (
        (there["account"], there["region"]) if there is not None else ("", destination.region(run.project))
    )
    registry = Registry(
        account=account,
        region=region,
        profile=run.project.settings.profile,
        endpoint_url=run.project.settings.endpoint_url,
    )
    name = there["repository"] if there is not None else named.removeprefix("ecr:")
    if own or run.project.settings.create_repository:
        named = registry.repository(name, _new_repository(run, image))
    return named, registry.credentials()


def _new_repository(run: Run, image: ImageBuild) -> NewRepository | None:
    """How a repository is made; None when it must be there. That of a serverless.yml is made when it is not."""
    from lambdabuild.aws.ecr import NewRepository

    definition, settings = run.project.service.definition, run.project.settings
    given = (definition.data["provider"].get("ecr") or {}) if definition is not None else {}
    is_default = image.key.repository == run.index.described_images[image.name].repository
    if not settings.create_repository and not is_default:
        return None
    count = settings.max_image_count or int(given.get("maxImageCount") or 0)
    return NewRepository(settings.scan_on_push or bool(given.get("scanOnPush")), count)


def ask(run: Run, name: str) -> PushedImage:
    """The digest of an image that is named by a tag; ECR is asked."""
    from lambdabuild.aws.ecr import Registry

    source = run.index.described_images[name].source
    uri = ECR_URI.match(source.uri) if isinstance(source, Tagged) else None
    assert uri is not None, "only images in ECR are asked for"
    if run.project.settings.offline:
        raise Offline(
            f"only ECR knows what {uri[0]} stands for, and the run is offline",
            where=run.index.described_images[name].where,
            help="name the image by its digest: REPOSITORY@sha256:...",
        )
    registry = Registry(
        account=uri["account"],
        region=uri["region"],
        profile=run.project.settings.profile,
        endpoint_url=run.project.settings.endpoint_url,
    )
    digest = registry.digest(uri["repository"], uri["tag"] or "latest")
    address = uri[0].partition("/")[0] + "/" + uri["repository"]
    return PushedImage(f"{address}@{digest}", digest, False, 0)
