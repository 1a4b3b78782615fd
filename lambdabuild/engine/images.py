"""Image functions: an image is built, or found by its fingerprint, and sent; the engine does the work.

An image that is built is called ``lambdabuild/image:FINGERPRINT`` beside its own name, so that equal inputs are never
built twice by one engine, whichever project they stand in.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lambdabuild import tools
from lambdabuild.engine import docker, session
from lambdabuild.engine.docker import Refused
from lambdabuild.engine.site import Site
from lambdabuild.errors import (
    BadImage,
    CannotRead,
    ImageFailed,
    NoImage,
    Offline,
    PushFailed,
    TooLarge,
    ToolFailed,
)
from lambdabuild.files import fingerprint
from lambdabuild.images import context as contexts
from lambdabuild.images.context import EPOCH_SECONDS, Context
from lambdabuild.images.dockerfile import Base, bases
from lambdabuild.model import Archive, Image, Recipe, Tagged
from lambdabuild.naming import ECR_URI
from lambdabuild.plan.types import ImageBuild

MARK = "lambdabuild/image"
"""The repository, on this machine only, whose tags are fingerprints."""

PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}
"""What some images say of theirs, as Docker says it."""

MOST_BYTES = 10 * 1024**3
"""Unpacked: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

OF_DOCKER = (
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION", "DOCKER_DEFAULT_PLATFORM", "SSH_AUTH_SOCK", "BUILDX_BUILDER", "BUILDX_CONFIG",
)  # fmt: skip
"""Variables by which the docker command finds the engine, a builder and credentials."""


@dataclass(frozen=True)
class Made:
    """``id`` is the engine's own digest of the image, ``size`` in bytes."""

    id: str
    size: int
    fingerprint: str
    bases: Mapping[str, str]
    """The digest of each image that it begins with or copies from."""


@dataclass(frozen=True)
class Sent:
    """``location`` is ``REPOSITORY@sha256:...``; ``sent`` is False when the registry had it."""

    location: str
    digest: str
    sent: bool
    size: int


def context_of(site: Site, image: ImageBuild) -> Context:
    """What the engine gets."""
    who = f"the image of {image.name!r}"
    folder, dockerfile = site.path(image.key.place), site.path(image.key.dockerfile)
    return contexts.read(folder, dockerfile, site.stats, skip=site.not_source, who=who)


def inputs(site: Site, image: ImageBuild) -> dict[str, str]:
    """All that an image depends on by name, its base images apart, which only the engine knows."""
    key = image.key
    if key.kind == "archive":
        return {f"file:{key.place}": fingerprint.of_file(site.path(key.place), site.stats)}
    found = {
        f"folder:{key.place}": contexts.digest(
            f"image {key.place} {key.dockerfile}", context_of(site, image), site.stats
        ),
        f"file:{key.dockerfile}": fingerprint.of_file(site.path(key.dockerfile), site.stats),
        "platform": key.platform,
        "arguments": key.arguments,
        "target": key.target,
        "options": " ".join(key.options),
        "provenance": key.provenance,
    }
    return found | {f"environment:{name}": _variable(name) for name in variables(key.options)}


def files(site: Site, image: ImageBuild) -> Mapping[str, str]:
    """What is in the context, file by file."""
    return contexts.files(context_of(site, image), site.stats)


def variables(options: Iterable[str]) -> list[str]:
    """Build arguments that take their value from the environment: ``--build-arg NAME``."""
    return [value for word, value in itertools.pairwise(options) if word == "--build-arg"]


def _variable(name: str) -> str:
    value = os.environ.get(name)
    return "unset" if value is None else hashlib.sha256(value.encode()).hexdigest()[:32]


# image: make it


def make(site: Site, name: str) -> Made:
    """Build or load an image, unless the engine has it, and give it its names; the last one's are taken away."""
    image, last = site.images[name], str(session.saved(f"image:{name}").get("fingerprint", ""))
    with docker.client(_timeout(site)) as engine:
        made = _made(site, image, engine)
        repository, _, tag = image.local_name.partition(":")
        engine.tag(made.id, repository, tag, force=True)
        if last and last != made.fingerprint:
            _untag(engine, f"{MARK}:{last}")
        return made


def _made(site: Site, image: ImageBuild, engine: Any) -> Made:
    described = site.described_images[image.name]
    if isinstance(described.source, Recipe):
        return _built(site, image, described, described.source, engine)
    assert isinstance(described.source, Archive), "an image in a registry is not made"
    found = fingerprint.of(inputs(site, image))
    mark = f"{MARK}:{found}"
    if _id(engine, mark) is None:
        _load(site, image, site.path(described.source.path), mark, engine)
    return _inspected(image, engine, mark, found, {})


def _built(site: Site, image: ImageBuild, described: Image, recipe: Recipe, engine: Any) -> Made:
    known = {
        " ".join(filter(None, (base.name, base.platform))): digest
        for base, digest in _bases(site, image, described, recipe, engine)
    }
    with site.scratch() as scratch:
        file = os.path.join(scratch, "context.tar")
        context, own = _written(site, image, file)
        found = fingerprint.of(own | {f"base:{name}": digest for name, digest in known.items()})
        mark = f"{MARK}:{found}"
        with site.shared.lock_of(mark):  # two functions may need the same under two names
            if _id(engine, mark) is None:
                build = _with_buildkit if _has_buildkit(site) else _with_engine
                build(Order(site, image, described, recipe, context, file, scratch, mark), engine)
    return _inspected(image, engine, mark, found, known)


def _written(site: Site, image: ImageBuild, file: str) -> tuple[Context, dict[str, str]]:
    """The context in one file, with the inputs that are in it: a file that is edited meanwhile is written again."""
    for _ in range(5):
        before = inputs(site, image)
        context = context_of(site, image)
        with open(file, "wb") as stream:
            contexts.write_tar(context, stream)
        if inputs(site, image) == before:
            return context, before
    raise CannotRead(
        f"the image of {image.name!r}: the files in {image.key.place}/ change all the time",
        mend="stop what writes there, or leave that out with a line in .dockerignore",
    )


def _inspected(image: ImageBuild, engine: Any, mark: str, found: str, known: Mapping[str, str]) -> Made:
    data = engine.inspect_image(mark)
    if data["Size"] > MOST_BYTES:
        raise TooLarge(
            f"{_who(image)} has {data['Size'] / 1e9:.1f} GB, and Lambda takes {MOST_BYTES / 1e9:.1f} GB at most",
            mend="begin with a smaller image, and copy less into it",
        )
    return Made(data["Id"], int(data["Size"]), found, known)


def _id(engine: Any, name: str) -> str | None:
    """The engine's digest of an image, None when it has none of that name."""
    try:
        with docker.refusals():
            return str(engine.inspect_image(name)["Id"])
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def _timeout(site: Site) -> float | None:
    return site.settings.tool_timeout_seconds or None


# base images


def _bases(site: Site, image: ImageBuild, described: Image, recipe: Recipe, engine: Any) -> Iterator[tuple[Base, str]]:
    path = site.path(recipe.dockerfile)
    with open(path, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    host = engine.version()
    builder = f"{host['Os']}/{host['Arch']}"
    for base in bases(text, dict(recipe.arguments), recipe.target, recipe.platform or builder, builder):
        yield base, _digest_of(site, image, described, base, engine)


def _digest_of(site: Site, image: ImageBuild, described: Image, base: Base, engine: Any) -> str:
    """What a base image is now: its registry's digest, else the engine's own."""
    pull = site.settings.container_of(image.name).pull
    there = _is_there(engine, base.name, base.platform or image.key.platform)
    if (pull == "always" and not site.settings.offline) or (pull != "never" and not there):
        _pull(site, image, described, base, engine)
    elif not there:
        raise NoImage(
            f"{_who(image)}: the base image {base.name} is not there, and pull is {pull!r}",
            where=described.where,
            mend=f'docker pull {base.name}, or set pull = "missing" in [container]',
        )
    data = engine.inspect_image(base.name)
    repository = re.sub(r"(?:@.*|:[^:/]*)$", "", base.name)
    digests = [one.partition("@") for one in data.get("RepoDigests") or ()]
    return next((digest for name, _, digest in digests if _same_repository(name, repository)), str(data["Id"]))


def _is_there(engine: Any, name: str, platform: str) -> bool:
    """Whether the engine has an image, and for this platform; of some it does not know which they are for."""
    if _id(engine, name) is None:
        return False
    given = str(engine.inspect_image(name).get("Architecture") or "")
    return not given or not platform or PROCESSORS.get(given, given) == platform.split("/")[1]


def _same_repository(one: str, other: str) -> bool:
    """``python`` and ``docker.io/library/python`` are one."""
    return one.removeprefix("docker.io/").removeprefix("library/") == other.removeprefix("docker.io/").removeprefix(
        "library/"
    )


def _pull(site: Site, image: ImageBuild, described: Image, base: Base, engine: Any) -> None:
    if site.settings.offline:
        raise Offline(
            f"{_who(image)}: the base image {base.name} is not there, and the run is offline",
            where=described.where,
            mend=f"docker pull {base.name} before",
        )
    repository, tag = _split(base.name)
    try:
        with docker.refusals():
            events = engine.pull(
                repository, tag=tag, stream=True, decode=True, platform=base.platform or image.key.platform
            )
            _follow(events)
    except Refused as refused:
        raise NoImage(
            f"{_who(image)}: the base image {base.name} cannot be pulled: {refused.words}",
            where=described.where,
            mend="check its name in the Dockerfile, the network, and docker login",
        ) from refused


def _split(name: str) -> tuple[str, str]:
    """Repository and tag; a digest stands for a tag."""
    if "@" in name:
        return name.partition("@")[0], name.partition("@")[2]
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}/{last}" if head else last, tag or "latest"


def _follow(events: Iterable[Mapping[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """All lines and the last facts of a stream of the engine's. Raises Refused for an error that is in it."""
    lines, facts = list[str](), dict[str, Any]()
    for event in events:
        lines += str(event.get("stream") or "").splitlines()
        facts |= event.get("aux") or {}
        if "error" in event:
            raise Refused(str(event["error"]), lines=tuple(line for line in lines if line.strip()))
    return lines, facts


# build


@dataclass(frozen=True)
class Order:
    """One build: what is asked of the engine. ``file`` holds the context as a tar."""

    site: Site
    image: ImageBuild
    described: Image
    recipe: Recipe
    context: Context
    file: str
    scratch: str
    mark: str

    @property
    def arguments(self) -> dict[str, str]:
        """With a fixed time for tools that know it: https://reproducible-builds.org/docs/source-date-epoch/"""
        return {"SOURCE_DATE_EPOCH": str(EPOCH_SECONDS), **dict(self.recipe.arguments)}


def _failed(order: Order, words: str, tail: str) -> ImageFailed:
    if docker.NO_SPACE in words + tail:
        mend = "make room on the engine's disk: docker system prune"
    else:
        mend = f"correct {order.recipe.dockerfile}, or what it needs in {order.recipe.context}/"
    return ImageFailed(
        f"{_who(order.image)} cannot be built: {words}",
        where=order.described.where,
        tail=tail,
        mend=mend,
    )


def _with_engine(order: Order, engine: Any) -> None:
    """The classic builder, which every engine has."""
    given = _asked(order)
    recipe = order.recipe
    with open(order.file, "rb") as stream:
        try:
            with docker.refusals():
                _follow(
                    engine.build(
                        fileobj=stream, custom_context=True, dockerfile=order.context.dockerfile_inside, tag=order.mark,
                        buildargs=order.arguments | given.pop("buildargs", {}), target=recipe.target or None,
                        platform=recipe.platform or None, cache_from=list(recipe.cache_from) or None, rm=True,
                        forcerm=True, decode=True, timeout=_timeout(order.site), **given,
                    )
                )  # fmt: skip
        except Refused as refused:
            tail = "\n".join(refused.lines[-tools.TAIL_LINES :])
            raise _failed(order, refused.words, tail) from refused


def _pair(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    return {name: value}


def _host(text: str) -> dict[str, str]:
    name, _, address = text.replace("=", ":", 1).partition(":")
    return {name: address}


OPTIONS: Mapping[str, tuple[str, Callable[[str], Any] | None]] = {
    "--network": ("network_mode", str),
    "--add-host": ("extra_hosts", _host),
    "--label": ("labels", _pair),
    "--shm-size": ("shmsize", str),
    "--isolation": ("isolation", str),
    "--build-arg": ("buildargs", lambda name: {name: os.environ[name]} if name in os.environ else {}),
    "--no-cache": ("nocache", None),
    "--pull": ("pull", None),
    "--squash": ("squash", None),
}
"""Options of ``docker build`` as the classic builder takes them; None needs no value."""

SHOWN_ONLY = ("--progress", "--quiet", "-q", "--rm", "--force-rm", "--load")


def _asked(order: Order) -> dict[str, Any]:
    """The user's own options for the classic builder. Raises BadImage (LB810) for those that only BuildKit has."""
    found = dict[str, Any]()
    words = iter(order.recipe.options)
    for word in words:
        name, sign, value = word.partition("=")
        if name in SHOWN_ONLY:
            continue
        if name not in OPTIONS:
            raise BadImage(
                f"{_who(order.image)}: the classic builder has no option {word!r}",
                where=order.described.where,
                mend="remove it, or install Docker's buildx, and lambdabuild uses BuildKit",
            )
        key, take = OPTIONS[name]
        if take is None:
            found[key] = value != "false"
            continue
        taken = take(value if sign else next(words, ""))
        found[key] = {**found.get(key, {}), **taken} if isinstance(taken, dict) else taken
    return found


def _with_buildkit(order: Order, engine: Any) -> None:
    """By the docker command, for the engine's own interface has no BuildKit."""
    folder, beside = os.path.join(order.scratch, "context"), os.path.join(order.scratch, "dockerfile")
    contexts.unpack(order.file, folder)
    # Docker finds the ignore file by the name of the Dockerfile; what it leaves out is left out already.
    dockerfile = contexts.write_dockerfile(order.context, beside)
    recipe, secret = order.recipe, {name for name in order.arguments if name not in os.environ}
    command = ["docker", "build", "--progress=plain", "--tag", order.mark, "--file", dockerfile]
    command += ["--platform", recipe.platform] if recipe.platform else []
    command += ["--target", recipe.target] if recipe.target else []
    command += [f"--cache-from={one}" for one in recipe.cache_from]
    command += [f"--provenance={recipe.provenance}"] if recipe.provenance else []
    for name, value in order.arguments.items():  # a value that is not on the command line is in no message
        command += ["--build-arg", name if name in secret else f"{name}={value}"]
    more = {name: value for name, value in order.arguments.items() if name in secret}
    # An image with attestations is an index, which Lambda does not take.
    more |= {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    env = tools.environment((*OF_DOCKER, *variables(recipe.options)), more)
    try:
        tools.run([*command, *recipe.options, folder], cwd=folder, env=env, timeout_seconds=_timeout(order.site))
    except ToolFailed as error:
        lines = error.tail.splitlines()[2:]
        raise _failed(order, error.message, "\n".join(lines)) from error


def _has_buildkit(site: Site) -> bool:
    """Whether the docker command is there with its buildx; DOCKER_BUILDKIT, as that reads it, decides before."""
    asked, command = os.environ.get("DOCKER_BUILDKIT"), tools.find("docker")
    if asked or command is None:
        return command is not None and asked not in ("0", "false")
    return site.tool_version("docker buildx version").startswith("github.com/docker/buildx")


def _load(site: Site, image: ImageBuild, path: str, mark: str, engine: Any) -> None:
    described = site.described_images[image.name]
    try:
        with open(path, "rb") as stream, docker.refusals():
            lines, _ = _follow(engine.load_image(stream, quiet=True))
    except Refused as refused:
        raise ImageFailed(
            f"{_who(image)} cannot be loaded from {image.key.place}: {refused.words}",
            where=described.where,
            mend="make it with docker save",
        ) from refused
    found = next((line.partition(": ")[2].strip() for line in reversed(lines) if line.startswith("Loaded image")), "")
    if not found:
        raise ImageFailed(
            f"{_who(image)}: there is no image in {image.key.place}",
            where=described.where,
            mend="make it with docker save",
        )
    repository, _, tag = mark.partition(":")
    engine.tag(found, repository, tag, force=True)


def _who(image: ImageBuild) -> str:
    return f"the image of {image.name!r}"


# upload: send it


def send(site: Site, name: str, made: Mapping[str, Any]) -> Sent:
    """Push an image under a tag that says what is in it, unless the registry has that, and under those asked for.

    ``made`` is the result of the image step.
    """
    image = site.images[name]
    repository, credentials = _repository(site, image)
    with docker.client(_timeout(site)) as engine:
        found = made if _id(engine, made["id"]) else _result(_made(site, image, engine))
        own = f"{_in_tag(image.name)}-{found['id'].partition(':')[2][:12]}"
        digest = _digest_there(engine, f"{repository}:{own}", credentials)
        tags = [*([] if digest else [own]), *image.key.push_tags]
        for tag in tags:
            digest = _push(site, image, engine, found["id"], repository, tag, credentials)
    return Sent(f"{repository}@{digest}", digest, own in tags, found["size"])


def _result(made: Made) -> dict[str, Any]:
    return {"id": made.id, "size": made.size}


def _in_tag(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:100]


def _digest_there(engine: Any, name: str, credentials: Mapping[str, str] | None) -> str:
    """The digest that a registry has under a name, "" when it has none, or does not tell."""
    try:
        with docker.refusals():
            return str(engine.inspect_distribution(name, auth_config=credentials)["Descriptor"]["digest"])
    except Refused:
        return ""


def _push(
    site: Site, image: ImageBuild, engine: Any, image_id: str, repository: str, tag: str,
    credentials: Mapping[str, str] | None,
) -> str:  # fmt: skip
    name = f"{repository}:{tag}"
    try:
        with docker.refusals():
            engine.tag(image_id, repository, tag, force=True)
            _, facts = _follow(engine.push(repository, tag=tag, stream=True, decode=True, auth_config=credentials))
    except Refused as refused:
        raise PushFailed(
            f"{_who(image)} cannot be pushed to {name}: {refused.words}",
            where=site.described_images[image.name].where,
            mend="check the repository's name and your rights to it; docker login, or a credential helper, gives them",
        ) from refused
    finally:
        _untag(engine, name)
    return str(facts["Digest"])


def _repository(site: Site, image: ImageBuild) -> tuple[str, dict[str, str] | None]:
    """The repository's address, and credentials when it is ECR's; for others docker knows them."""
    named, own = image.key.repository, image.key.repository.startswith("ecr:")
    there = ECR_URI.match(named)
    if not own and there is None:
        return named, None
    from lambdabuild.aws.ecr import Registry

    account, region = (there["account"], there["region"]) if there is not None else ("", site.region)
    registry = Registry(
        account=account, region=region, profile=site.settings.profile, endpoint_url=site.settings.endpoint_url
    )
    name = there["repository"] if there is not None else named.removeprefix("ecr:")
    if own or site.settings.create_repository:
        named = registry.repository(name, _new_repository(site, image))
    return named, registry.credentials()


def _new_repository(site: Site, image: ImageBuild) -> Any:
    """How a repository is made; None when it must be there. That of a serverless.yml is made when it is not."""
    from lambdabuild.aws.ecr import NewRepository

    definition, settings = site.service.definition, site.settings
    given = (definition.data["provider"].get("ecr") or {}) if definition is not None else {}
    is_default = image.key.repository == site.described_images[image.name].repository
    if not settings.create_repository and not is_default:
        return None
    count = settings.max_image_count or int(given.get("maxImageCount") or 0)
    return NewRepository(settings.scan_on_push or bool(given.get("scanOnPush")), count)


def ask(site: Site, name: str) -> Sent:
    """The digest of an image that is named by a tag; ECR is asked."""
    from lambdabuild.aws.ecr import Registry

    source = site.described_images[name].source
    found = ECR_URI.match(source.uri) if isinstance(source, Tagged) else None
    assert found is not None, "only images in ECR are asked for"
    if site.settings.offline:
        raise Offline(
            f"only ECR knows what {found[0]} stands for, and the run is offline",
            where=site.described_images[name].where,
            mend="name the image by its digest: REPOSITORY@sha256:...",
        )
    registry = Registry(
        account=found["account"], region=found["region"], profile=site.settings.profile,
        endpoint_url=site.settings.endpoint_url,
    )  # fmt: skip
    digest = registry.digest(found["repository"], found["tag"] or "latest")
    address = found[0].partition("/")[0] + "/" + found["repository"]
    return Sent(f"{address}@{digest}", digest, False, 0)


# clean


def remove(site: Site, name: str, made: Mapping[str, Any]) -> None:
    """Take an image's names away; the engine removes what nothing else is made of."""
    image = site.images[name]
    with docker.client(_timeout(site)) as engine:
        for one in (image.local_name, f"{MARK}:{made.get('fingerprint', '')}"):
            if _id(engine, one) == made.get("id"):
                _untag(engine, one, keep_layers=False)


def _untag(engine: Any, name: str, *, keep_layers: bool = True) -> None:
    """Take a name away, and with the last one the image; its layers may stay for the next build."""
    try:
        with docker.refusals():
            engine.remove_image(name, noprune=keep_layers)
    except Refused as refused:
        if refused.status not in (404, 409):  # it is not there; a container uses it
            raise
