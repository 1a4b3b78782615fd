"""Is a step up to date, and if not, why? One function names all that a step depends on; everything else compares.

A step's components are ``{name: digest}``: the rule's code, options, environment, tools, files, folders, the outputs of
the steps before it, and the files that its last run revealed it reads. Equal components mean there is nothing to do.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

from lambdabuild.artifacts import trees
from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.engine import images, receipts, workers
from lambdabuild.engine.site import STRIP, Site
from lambdabuild.errors import BadSource, LambdaBuildError, NoInclude
from lambdabuild.files import fingerprint
from lambdabuild.files.globs import GlobbedPatterns
from lambdabuild.files.listing import IGNORE_FILE, Found, Listing, Patterns, ignore_lines, patterns, scan
from lambdabuild.model import Globs, Options
from lambdabuild.plan.types import Build, BuildKey, ImageBuild, Native, Rule, StepClaims
from lambdabuild.settings import DEFAULT_EXCLUDE
from lambdabuild.spans import Span

Saved = Callable[[str], Mapping[str, Any]]
"""What doit's state holds of a task: ``{"inputs": fingerprint, "output": digest, "reads": [paths]}``, or nothing."""

TEMPLATE = "template"
"""The one step that has no name of its own."""

ACCOUNT = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables that tell one account or region from another; a run with others asks again."""

HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "unzip_requirements.py")
"""What a function with zipped dependencies imports first."""

CHANGED = "changed while it was read"
"""In place of the digest of a file that a step read and somebody edited meanwhile."""

ZIP_FORMAT = "2"
"""Raised when equal entries give other zip bytes than before."""

SHARING_FORMAT = "1"
"""Raised when equal packages give other layers than before."""


def components(site: Site, kind: str, name: str, saved: Saved) -> dict[str, str]:
    """All that one step depends on, by name. Reads the disk through the stat cache only."""
    return _OF[kind](site, name, saved)


def task_name(kind: str, name: str) -> str:
    """What doit calls the step."""
    return TEMPLATE if kind == TEMPLATE else f"{kind}:{name}"


def known_reads(site: Site, values: Mapping[str, Any]) -> dict[str, str]:
    return reads(site, values.get("reads", ())) | _images(site, values)


def _images(site: Site, values: Mapping[str, Any]) -> dict[str, str]:
    recorded = values.get("images")
    if not recorded:
        return {}
    from lambdabuild.engine import containers

    return containers.now(site, recorded)


def _must_ask_engine(values: Mapping[str, Any]) -> bool:
    """Whether no file tells that an image is another, so that no snapshot can answer for the step."""
    if not values.get("images"):
        return False
    from lambdabuild.engine import containers

    return containers.must_ask(values["images"])


def reads(site: Site, paths: Any) -> dict[str, str]:
    """Files that a step found out it reads, by their names in records (``{project}/base.txt``)."""
    return {f"read:{path}": _read(site, expand(site, path)) for path in sorted(paths)}


def _read(site: Site, path: str) -> str:
    """The digest of a file, or of what is source in a folder: a local package may contain our own build folder."""
    if not os.path.isdir(path):
        return fingerprint.of_file(path, site.stats)
    listing = scan(path, patterns(DEFAULT_EXCLUDE), boundary="/", skip=site.not_source)
    return fingerprint.of_listing(f"read {path}", listing, site.stats)


def expand(site: Site, path: str) -> str:
    for name, folder in site.roots.items():
        if path.startswith("{" + name + "}"):
            return folder + path[len(name) + 2 :]
    return path


def portable(site: Site, path: str) -> str:
    """The inverse: a path as records name it, so that they still hold when the project has moved."""
    for name, folder in site.roots.items():
        if path == folder or path.startswith(folder + os.sep):
            return "{" + name + "}" + path[len(folder) :]
    return path


def source_listing(site: Site, key: BuildKey, who: str = "") -> Listing:
    """The files of a build's source that may enter its artifact."""
    folder = site.path(key.source)
    _refuse_way_out(site, key, folder, who)
    for file in ignore_files(site, key)[1:]:
        if os.path.exists(file):  # that it comes or goes is seen by its folder
            site.stats.saw(file)
    chosen = source_patterns(site, key, ignore_lines)
    return scan(folder, chosen, boundary=site.boundary, skip=site.not_source, who=who)


def ignore_files(site: Site, key: BuildKey) -> tuple[str, ...]:
    """The files whose patterns are about a build's source: the project's, then the source's own."""
    folder = site.path(key.source)
    own = (*((IGNORE_FILE,) if folder != site.project else ()), *site.rules[key.rule].ignore_files)
    return (os.path.join(site.project, IGNORE_FILE), *(os.path.join(folder, name) for name in own))


def source_patterns(site: Site, key: BuildKey, lines_of: Callable[..., tuple[str, ...]]) -> Patterns:
    """What of a build's source stays out of its artifact; ``lines_of`` reads ignore files (``ignore_lines``)."""
    first, *own = (os.path.split(file) for file in ignore_files(site, key))
    lines = [*key.leave_out, *lines_of(*first, below=key.source)]
    lines += (line for folder, name in own for line in lines_of(folder, name))
    if key.globs.lines:
        return GlobbedPatterns(lines, key.globs.lines, key.globs.prefix)
    return patterns(tuple(lines))


def listing_beside(site: Site, key: BuildKey, path: str, who: str = "") -> Listing:
    """The files of something that goes in beside a build's source: a folder's content, or the file itself.

    Raises NoInclude (LB415) when it is gone.
    """
    real = site.path(path)
    if os.path.isdir(real):
        return source_listing(site, key_beside(key, path), who)
    _refuse_way_out(site, key_beside(key, path), real, who)
    site.stats.saw(real)
    try:
        return Listing((Found(os.path.basename(real), real, os.stat(real)),), ())
    except OSError as error:
        raise NoInclude(
            f"{who}: {path}, which is to go in, cannot be read: {error.strerror}", where=Span(path)
        ) from error


def extras_listing(site: Site, key: BuildKey, who: str = "") -> Listing:
    """The files of the source that go in under their own paths beside what a rule makes of it."""
    return source_listing(site, extras_key(key), who)


def key_beside(key: BuildKey, path: str) -> BuildKey:
    """The key as though the source were what goes in beside it."""
    return replace(key, source=path, globs=Globs())


def extras_key(key: BuildKey) -> BuildKey:
    """The key as though the source were its extras."""
    return replace(key, globs=Globs(("!**", *key.extras), key.globs.prefix))


def _refuse_way_out(site: Site, key: BuildKey, folder: str, who: str) -> None:
    """A code folder may lie elsewhere when the template says so, but not by a link in the project."""
    real, boundary = os.path.realpath(folder), os.path.realpath(site.boundary)
    if folder.startswith(site.project + os.sep) and not (real + os.sep).startswith(boundary + os.sep):
        raise BadSource(
            f"{who}: the code folder {key.source}/ is reached by a link that leaves the project: {real}",
            where=Span(key.source),
            mend="name the folder itself in the template, or set project_root",
        )


class Freshness:
    """doit's ``uptodate`` question for one step."""

    __signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("task", "values")])
    """doit looks at each question's, and it takes longer to find than most questions do to be answered."""

    def __init__(self, site: Site, kind: str, name: str, saved: Saved) -> None:
        self.site, self.kind, self.name, self.saved = site, kind, name, saved

    def __call__(self, task: Any, values: Mapping[str, Any]) -> bool:
        """The signature is doit's: it hands over the task and what it saved of its last run."""
        if not values.get("inputs"):
            return False
        try:
            with self.site.stats.watched() as seen:
                fresh = self._is_fresh(values)
        except (LambdaBuildError, OSError):
            return False  # the step itself will meet the mistake, and tell it as its own
        if fresh and not _must_ask_engine(values):
            self.site.shared.seen[self.kind, self.name] = seen
        return fresh

    def _is_fresh(self, values: Mapping[str, Any]) -> bool:
        if asks_always(self.site, self.kind, self.name):
            return False
        now = components(self.site, self.kind, self.name, self.saved) | known_reads(self.site, values)
        return values["inputs"] == fingerprint.of(now) and is_intact(self.site, self.kind, self.name, values)

    def __repr__(self) -> str:
        return f"the inputs of {self.kind}:{self.name} are as they were (see doit why:{self.name})"


def asks_always(site: Site, kind: str, name: str) -> str:
    """Why a step must ask others at every run, though nothing here changed; "" for those that need not."""
    image = site.images.get(name)
    if image is None or site.settings.offline:
        return ""
    if kind == "upload" and image.key.kind == "tagged":
        return f"what {image.key.place} stands for is asked at every run"
    is_built = kind == "image" and image.key.kind == "recipe"
    return (
        "base images are asked for at every run"
        if is_built and site.settings.container_of(name).pull == "always"
        else ""
    )


def is_intact(site: Site, kind: str, name: str, values: Mapping[str, Any]) -> bool:
    """Whether what the step made is still what it made, not deleted or edited by hand."""
    if kind == "zip":
        try:
            return bool(site.stats.digest(site.zip(name)) == values["output"])
        except OSError:
            return False
    if kind == "tree":
        return _is_tree_intact(site, name)
    if kind in ("resolve", "package", "compile", "copy"):
        if values.get("away"):  # a cache has the bytes; the receipt says which, for whoever needs them
            return _is_there(site, site.receipt(kind, name))
        return all(_is_there(site, expand(site, path)) for path in values.get("parts", ()))
    if kind == "upload" and name not in site.images:
        location = values.get("location", "")
        return location.startswith("s3://") or bool(location and _is_there(site, expand(site, location)))
    if kind == "publish":
        site.stats.saw(published_file(site))
        return [version["arn"] for version in published(site).get(name, ())] == values.get("versions")
    if kind == "share":
        return _are_layers_intact(site, name, values)
    if kind == TEMPLATE:
        written = values.get("written", {})
        return all(fingerprint.of_file(expand(site, path), site.stats) == written[path] for path in written)
    return True


def published(site: Site) -> dict[str, Any]:
    """What layers.json says: for each layer its versions; nothing when it is not there or broken."""
    try:
        with open(published_file(site), encoding="utf-8") as stream:
            return dict(json.load(stream))
    except (OSError, ValueError, TypeError):
        return {}


def published_file(site: Site) -> str:
    return os.path.join(site.build_dir, "layers.json")


def _is_tree_intact(site: Site, name: str) -> bool:
    record = TreeRecord.read(site.record("tree", name))
    return record is not None and trees.is_intact(site.tree(name), record, site.stats.digest)


def _are_layers_intact(site: Site, step: str, values: Mapping[str, Any]) -> bool:
    if step == "upload":
        return all(place.startswith("s3://") or _is_there(site, expand(site, place)) for place in values["locations"])
    if step == "tree":
        return all(_is_tree_intact(site, name) for name in values["layers"])
    try:
        return all(site.stats.digest(site.zip(name)) == one["sha256"] for name, one in values.get("layers", {}).items())
    except OSError:
        return False


def _is_there(site: Site, path: str) -> bool:
    site.stats.saw(path)
    return os.path.exists(path)


def _resolve(site: Site, name: str, saved: Saved) -> dict[str, str]:
    resolution = site.resolution(name)
    rule = site.rules[resolution.key.rule]
    found = _claims(site, rule, rule.resolve or StepClaims(), resolution.key.options, resolution.key.native)
    found |= {"runtime": resolution.key.runtime, "architecture": resolution.key.architecture}
    return found | _manifest(site, rule, resolution.manifest)


def _compile(site: Site, name: str, saved: Saved) -> dict[str, str]:
    build = site.build(name)
    rule = site.rules[build.key.rule]
    claims = rule.compile or StepClaims()
    is_away = workers.goes(site, "compile", name)
    found = _claims(site, rule, claims, build.key.options, build.key.native, is_away) | _dependencies(build, saved)
    found |= {"runtime": build.key.runtime, "architecture": build.key.architecture}
    found |= {"kind": build.key.kind, "name": build.key.name}
    command = build.key.command
    if command.run:
        found |= {"command": json.dumps([command.run, command.adds])}
        found |= {f"environment:{name}": _variable(name) for name in command.environment}
        mine = () if build.key.native.mode == "true" else command.tools
        found |= {f"tool:{name}": site.tool_version(name) for name in mine}
    if "manifest" in claims.reads:
        found |= _manifest(site, rule, build.key.manifest)
    if build.package:
        found |= _package_step(build, saved)
    if command.run or ("source" in claims.reads and not build.package):
        found |= _source(site, build)
    return found


def _package(site: Site, name: str, saved: Saved) -> dict[str, str]:
    package = site.package(name)
    rule = site.rules[package.key.rule]
    found = _claims(site, rule, rule.compile or StepClaims(), package.key.options, package.key.native)
    return found | _source(site, package)


def _package_step(build: Build, saved: Saved) -> dict[str, str]:
    return {f"step:package:{build.package}": _output(saved, f"package:{build.package}")}


def _copy(site: Site, name: str, saved: Saved) -> dict[str, str]:
    build = site.build(name)
    rule = site.rules[build.key.rule]
    found = _claims(site, rule, rule.copy, build.key.options, build.key.native) | _dependencies(build, saved)
    found["left out of dependencies"] = json.dumps(build.key.leave_out_dependencies)
    if rule.globs_reach_dependencies and build.key.globs.lines:
        found["package patterns"] = _short(json.dumps([*build.key.globs.lines, build.key.globs.prefix]))
    found["architecture"] = build.key.architecture
    found |= {f"tool:{STRIP}": site.tool_version(STRIP)} if build.key.strip else {}
    if name in site.sharers:
        found["packages in layers"] = str(saved("share:plan").get("shares", {}).get(name, "not built"))
    if build.compiles:
        found[f"step:compile:{name}"] = _output(saved, f"compile:{name}")
    if build.package:
        found |= _package_step(build, saved)
        found |= {"left out": json.dumps(build.key.leave_out_package), "handlers": json.dumps(build.handlers)}
    if rule.ships_source and not build.key.is_source_replaced:
        found |= _source(site, build)
    if build.key.zips_dependencies:
        found["dependencies are zipped"] = helper_digest()
    return found | _beside(site, build)


def _beside(site: Site, build: Build) -> dict[str, str]:
    """What goes in beside the source; in which order decides who wins."""
    who, found = f"{build.key.kind} {build.name!r}", dict[str, str]()
    if build.key.include:
        found["include"] = " ".join(build.key.include)
    for path in build.key.include:
        kind = "folder" if os.path.isdir(site.path(path)) else "file"
        listing = listing_beside(site, build.key, path, who)
        found[f"{kind}:{path}"] = fingerprint.of_listing(
            f"{path} {_short(json.dumps(build.key.leave_out))}", listing, site.stats
        )
    if build.key.extras:
        chosen = _short(json.dumps([*build.key.leave_out, *build.key.extras]))
        found["extras"] = fingerprint.of_listing(
            f"{build.key.source} {chosen}", extras_listing(site, build.key, who), site.stats
        )
    return found


def helper_digest() -> str:
    """The digest of the module that unpacks zipped dependencies."""
    with open(HELPER, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()[:32]


def _share(site: Site, name: str, saved: Saved) -> dict[str, str]:
    if name == "plan":
        return dict(_what_is_shared(site, saved))
    if name == "upload":
        return {"step:share:zip": _output(saved, "share:zip"), "store": store_identity(site)}
    found = {"step:share:plan": _output(saved, "share:plan")}
    return found | ({"zip format": ZIP_FORMAT} if name == "zip" else {})


def _what_is_shared(site: Site, saved: Saved) -> Iterator[tuple[str, str]]:
    """Who takes part, by what rules, and what each was resolved to; never a source."""
    yield "sharing format", SHARING_FORMAT
    for document in site.service.documents:
        yield f"ids of {document.path}", _short(json.dumps(sorted(document.names)))
    for sharer in site.sharers.values():
        key = site.build(sharer.build).key
        yield f"dependencies of {sharer.build}", _output(saved, f"resolve:{sharer.resolution}")
        yield f"package layers of {key.rule}", _short(repr(site.rules[key.rule].package_layers))
        filters = [key.leave_out_dependencies, key.globs.lines, key.globs.prefix]
        said = [sharer.functions, sharer.quota, repr(sharer.stage), filters]
        yield f"function {sharer.build}", _short(json.dumps(said))
        if key.strip:
            yield f"stripped for {sharer.build}", site.tool_version(STRIP)


def _zip(site: Site, name: str, saved: Saved) -> dict[str, str]:
    return {f"step:copy:{name}": _output(saved, f"copy:{name}"), "zip format": ZIP_FORMAT}


def _hash(site: Site, name: str, saved: Saved) -> dict[str, str]:
    found = {f"step:zip:{name}": _output(saved, f"zip:{name}"), f"step:copy:{name}": _output(saved, f"copy:{name}")}
    for sizes in site.sizes.get(name, ()):
        found[f"layers of {sizes.function}"] = str(sizes.layer_count)
        found |= {f"step:copy:{layer}": _output(saved, f"copy:{layer}") for layer in sizes.layers}
    if name in site.sharers:
        found["shared layers"] = json.dumps(saved("share:plan").get("sizes", {}).get(name, "not built"))
    return found


def _image(site: Site, name: str, saved: Saved) -> dict[str, str]:
    image = site.images[name]
    return images.inputs(site, image) | {"name": image.local_name}


def _upload_image(site: Site, image: ImageBuild, saved: Saved) -> dict[str, str]:
    if image.key.kind == "tagged":
        return {"image": image.key.place}
    found = {f"step:image:{image.name}": _output(saved, f"image:{image.name}")}
    return found | {"repository": image.key.repository, "tags": " ".join(image.key.push_tags)}


def _upload(site: Site, name: str, saved: Saved) -> dict[str, str]:
    if name in site.images:
        return _upload_image(site, site.images[name], saved)
    asset = site.assets.get(name)
    if asset is not None:
        digest = fingerprint.of_file(site.path(asset.source), site.stats)
        return {f"file:{asset.source}": digest, "store": store_identity(site)}
    pinned = site.pinned.get(name)
    if pinned is not None:
        place = site.sources[pinned.source].prefix
        return {"version": pinned.version, "source": f"{pinned.source} {place}", "store": store_identity(site)}
    if name in site.sources:
        found = {f"step:hash:{name}": _output(saved, f"hash:{name}"), "store": store_identity(site)}
        return found | {"published": json.dumps(dataclasses.astuple(site.sources[name]))}
    return {f"step:hash:{name}": _output(saved, f"hash:{name}"), "store": store_identity(site)}


def _publish(site: Site, name: str, saved: Saved) -> dict[str, str]:
    """What is asked for, and of which account; what Lambda has is asked by the step itself."""
    publication = site.publications[name]
    builds = [site.plan.build_of(layer).name for layer in publication.layers]
    found = {f"step:upload:{build}": _output(saved, f"upload:{build}") for build in builds}
    found |= {f"step:hash:{build}": _output(saved, f"hash:{build}") for build in builds}
    found["layer"] = json.dumps(dataclasses.asdict(publication), sort_keys=True)
    found["lambda"] = f"{site.region} {site.settings.profile} {site.settings.endpoint_url}"
    return found | {f"environment:{name}": _variable(name) for name in ACCOUNT}


def _tree(site: Site, name: str, saved: Saved) -> dict[str, str]:
    return {f"step:copy:{name}": _output(saved, f"copy:{name}"), "users": ",".join(site.build(name).users)}


def _template(site: Site, name: str, saved: Saved) -> dict[str, str]:
    found = {f"file:{document.path}": _short(document.text) for document in site.service.documents}
    definition = site.service.definition
    if definition is not None:
        found[f"file:{definition.path}"] = definition.digest
        found |= {"stage": definition.stage, "region": definition.region}
        found["compatible outputs"] = site.settings.serverless_dir
    found["left out"] = json.dumps(dict(site.unbuildable))
    for build in site.plan.builds:
        found[f"step:upload:{build.name}"] = _output(saved, f"upload:{build.name}")
        found[f"users of {build.name}"] = ",".join(build.users)
    for image in site.plan.images:
        found[f"image:{image.name}"] = f"{image.local_name} {','.join(image.users)}"
        found |= {f"step:{kind}:{image.name}": _output(saved, f"{kind}:{image.name}") for kind in image.steps}
    found |= {f"step:upload:{asset.name}": _output(saved, f"upload:{asset.name}") for asset in site.plan.assets}
    found |= {f"step:share:{step}": _output(saved, f"share:{step}") for step in site.sharing_steps if step != "zip"}
    places = [[r.target, r.span.start, r.span.end] for d in site.service.documents for r in d.rewrites]
    return found | {"places": _short(json.dumps(places)), "store": store_identity(site)}


_OF: dict[str, Callable[[Site, str, Saved], dict[str, str]]] = {
    "resolve": _resolve,
    "package": _package,
    "compile": _compile,
    "copy": _copy,
    "zip": _zip,
    "hash": _hash,
    "image": _image,
    "upload": _upload,
    "tree": _tree,
    "publish": _publish,
    "share": _share,
    "template": _template,
}


def store_identity(site: Site) -> str:
    """Where artifacts go, as text; without secrets."""
    settings = site.settings
    if not site.bucket:
        return f"folder {settings.store or '.store'}"
    place = f"s3://{site.bucket}/{settings.prefix} {settings.region} {settings.endpoint_url}"
    return f"{place} {settings.kms_key_id} {json.dumps(dict(settings.tags), sort_keys=True)}".rstrip()


def _claims(
    site: Site, rule: Rule, claims: StepClaims, options: Options, native: Native, is_away: bool = False
) -> dict[str, str]:
    found = {f"rule:{rule.name}": site.rule_digest(rule)}
    found |= {f"option:{name}": value for name, value in options if name in (*claims.options, claims.when)}
    found |= {f"environment:{name}": _variable(name) for name in claims.environment_with(options)}
    if native.mode:
        found["container"] = " ".join((native.mode, native.image or native.dockerfile, native.platform, native.rest))
    chosen = claims.tools_with(options)
    if is_away:
        return found | {f"tool:{name}": workers.tool_version(site, chosen, name) for name in chosen}
    here = [name for name in chosen if native.mode != "true" or name in claims.here]
    return found | {f"tool:{name}": site.tool_version(name) for name in here}


def _variable(name: str) -> str:
    """A digest, for a variable may hold a secret."""
    value = os.environ.get(name)
    return "unset" if value is None else _short(value)


def _manifest(site: Site, rule: Rule, manifest: str) -> dict[str, str]:
    files = manifest_files(rule, manifest)
    return {f"file:{path}": fingerprint.of_file(site.path(path), site.stats) for path in files}


def manifest_files(rule: Rule, manifest: str) -> tuple[str, ...]:
    """The manifest and every lock file that might stand beside it, those that are not there included."""
    if not manifest:
        return ()
    folder, names = posixpath.dirname(manifest), (*rule.lock_files, *rule.companions)
    return (manifest, *(posixpath.normpath(posixpath.join(folder, name)) for name in names))


def _source(site: Site, build: Build) -> dict[str, str]:
    listing = source_listing(site, build.key, f"{build.key.kind} {build.name!r}")
    chosen = [*build.key.leave_out, *build.key.globs.lines, build.key.globs.prefix]
    patterns = _short(json.dumps(chosen))
    digest = fingerprint.of_listing(f"{build.key.source} {patterns}", listing, site.stats)
    return {f"folder:{build.key.source}": digest}


def _dependencies(build: Build, saved: Saved) -> dict[str, str]:
    """The first is the build's own; a layer for several runtimes has one more for each."""
    more = {f"dependencies ({name})": name for name in build.other_resolutions}
    named = {"dependencies": build.resolution, **more} if build.resolution else {}
    return {name: _output(saved, f"resolve:{resolution}") for name, resolution in named.items()}


def _output(saved: Saved, task: str) -> str:
    return str(saved(task).get("output", "not built"))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def why(site: Site, kind: str, name: str, saved: Saved) -> list[str]:
    """The reasons for which a step would run now, in words; none when it is up to date."""
    receipt = receipts.read(site.receipt(kind, name))
    values = saved(task_name(kind, name))
    if not values.get("inputs") or receipt is None:
        return ["it has not been run yet, or was forgotten"]
    if asked := asks_always(site, kind, name):
        return [asked]
    now = components(site, kind, name, saved) | known_reads(site, values)
    before = {**receipt.components, **receipt.reads}
    build = site.package(name) if kind == "package" else site.builds.get(name) or site.images.get(name)
    reasons = [_change(site, receipt, key, before.get(key), now.get(key), build) for key in sorted({*before, *now})]
    found = list(dict.fromkeys(reason for reason in reasons if reason))
    if not found and not is_intact(site, kind, name, values):
        found = ["what it made is gone or was changed by hand"]
    return found


def _change(
    site: Site, receipt: receipts.Receipt, key: str, old: str | None, new: str | None, build: Build | ImageBuild | None
) -> str:
    if old == new:
        return ""
    kind, _, rest = key.partition(":")
    if kind == "folder" and old and new and build:
        return "; ".join(_files_changed(site, receipt, rest, build)) or f"the folder {rest}/ changed"
    if kind in ("file", "read"):
        path = rest.replace("{project}/", "")
        word = (
            "is new"
            if old in (None, fingerprint.ABSENT)
            else "is gone"
            if new in (None, fingerprint.ABSENT)
            else "changed"
        )
        return f"the file {path} {word}"
    if kind == "step":
        return f"the result of {rest} changed" if old else f"{rest} is new"
    if kind.startswith("dependencies"):
        return "the packages it depends on changed"
    if kind == "rule":
        return (
            f"the code of rule {rest} changed"
            if old and new
            else f"the rule is now {rest}"
            if new
            else f"it is no longer rule {rest}"
        )
    if kind == "tool":
        return f"the tool {rest} is now {new} (was {old})"
    if kind in ("image", "dockerfile"):
        return f"the {'image' if kind == 'image' else 'Dockerfile'} {rest} changed"
    if kind == "environment":
        return f"the variable {rest} changed"
    if kind == "option":
        return f"the option {rest} is now {new} (was {old})"
    return f"{key} is now {new} (was {old})"


def _files_now(site: Site, folder: str, build: Build | ImageBuild) -> Mapping[str, str]:
    if isinstance(build, ImageBuild):
        return images.files(site, build)
    key = build.key
    listing = source_listing(site, key) if folder == key.source else listing_beside(site, key, folder)
    return fingerprint.files(listing, site.stats)


def _files_changed(site: Site, receipt: receipts.Receipt, folder: str, build: Build | ImageBuild) -> list[str]:
    now = _files_now(site, folder, build)
    before = receipt.folders.get(folder, {})
    found = []
    for path in sorted({*now, *before}):
        if now.get(path) != before.get(path):
            word = "is new" if path not in before else "is gone" if path not in now else "changed"
            found.append(f"the file {posixpath.normpath(posixpath.join(folder, path))} {word}")
    return found
