"""All that a step depends on, by name; everything else compares.

A step's components are ``{name: digest}``: the rule's code, options, environment, tools, files, folders, the outputs of
the steps before it, and the files that its last run revealed it reads. Equal components mean there is nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.core.model import Options, Rewrite
from lambdabuild.core.records import astuple, to_builtins
from lambdabuild.engine.base import destination
from lambdabuild.engine.base.plan_index import STRIP
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import image_inputs, source_files
from lambdabuild.engine.freshness.versions import rule_digest, tool_version, variable
from lambdabuild.engine.remote import workers
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import patterns, scan
from lambdabuild.plan.types import Build, ContainerKey, ImageBuild, Rule, StepClaims

ACCOUNT = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables that tell one account or region from another; a run with others asks again."""

HELPER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "steps", "programs", "unzip_requirements.py"
)
"""The module that a function with zipped dependencies imports first."""

CHANGED = "changed while it was read"
"""In place of the digest of a file that a step read and somebody edited meanwhile."""

ZIP_FORMAT = "2"
"""Raised when equal entries give other zip bytes than before."""

SHARING_FORMAT = "1"
"""Raised when equal packages give other layers than before."""


def known_reads(run: Run, values: Mapping[str, Any]) -> dict[str, str]:
    return reads(run, values.get("reads", ())) | _images(run, values)


def _images(run: Run, values: Mapping[str, Any]) -> dict[str, str]:
    recorded = values.get("images")
    if not recorded:
        return {}
    from lambdabuild.engine.containers import pool

    return pool.now(run, recorded)


def reads(run: Run, paths: Any) -> dict[str, str]:
    """Files that a step found out it reads, by their names in records (``{project}/base.txt``)."""
    return {f"read:{path}": _read(run, run.project.expand(path)) for path in sorted(paths)}


def _read(run: Run, path: str) -> str:
    """The digest of a file, or of what is source in a folder: a local package may contain our own build folder."""
    if not os.path.isdir(path):
        return fingerprint.of_file(path, run.stats)
    listing = scan(path, patterns(DEFAULT_EXCLUDE), boundary="/", skip=run.project.not_source)
    return fingerprint.of_listing(f"read {path}", listing, run.stats)


def resolve(run: Run, name: str) -> dict[str, str]:
    resolution = run.index.resolutions[name]
    rule = run.index.rules[resolution.key.rule]
    found = _claims(run, rule, rule.resolve or StepClaims(), resolution.key.options, resolution.key.container)
    found |= {"runtime": resolution.key.runtime, "architecture": resolution.key.architecture}
    if resolution.key.source:
        for user in resolution.users:  # what is too large is told before it is read for the scripts
            source_files.listing(run, run.index.builds[user].key, f"{run.index.builds[user].key.kind} {user!r}")
        listing = source_files.listing_of_manifest(
            run.project, resolution.manifest, f"the scripts of {resolution.manifest}"
        )
        folder = os.path.dirname(resolution.manifest) or "."
        found |= {"code folder": resolution.key.source}
        found |= {f"folder:{folder}": fingerprint.of_listing(f"{folder} for scripts", listing, run.stats)}
    return found | _manifest(run, rule, resolution.manifest, resolution.key.workspace)


def compile(run: Run, name: str) -> dict[str, str]:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    claims = rule.compile or StepClaims()
    is_away = workers.goes(run, "compile", name)
    found = _claims(run, rule, claims, build.key.options, build.key.container, is_away) | _dependencies(run, build)
    found |= {"runtime": build.key.runtime, "architecture": build.key.architecture}
    found |= {"kind": build.key.kind, "name": build.key.name}
    command = build.key.command
    if command.run:
        found |= {"command": json.dumps([command.run, command.adds])}
        found |= {f"environment:{name}": variable(run, name) for name in command.environment}
        mine = () if build.key.container.mode == "true" else command.tools
        found |= {f"tool:{name}": tool_version(run.stats, name) for name in mine}
    if "manifest" in claims.reads:
        found |= _manifest(run, rule, build.key.manifest, build.key.workspace)
    if build.package:
        found |= _package_step(run, build)
    if command.run or ("source" in claims.reads and not build.package):
        found |= _source(run, build)
    return found


def package(run: Run, name: str) -> dict[str, str]:
    package = run.index.packages[name]
    rule = run.index.rules[package.key.rule]
    found = _claims(run, rule, rule.compile or StepClaims(), package.key.options, package.key.container)
    return found | _source(run, package)


def _package_step(run: Run, build: Build) -> dict[str, str]:
    return {f"step:package:{build.package}": _output(run, f"package:{build.package}")}


def copy(run: Run, name: str) -> dict[str, str]:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    found = _claims(run, rule, rule.copy, build.key.options, build.key.container) | _dependencies(run, build)
    found["left out of dependencies"] = json.dumps(build.key.leave_out_dependencies)
    if rule.globs_reach_dependencies and build.key.globs.lines:
        found["package patterns"] = _short(json.dumps([*build.key.globs.lines, build.key.globs.prefix]))
    found["architecture"] = build.key.architecture
    found |= {f"tool:{STRIP}": tool_version(run.stats, STRIP)} if build.key.strip else {}
    if name in run.index.candidates:
        found["packages in layers"] = str(run.saved("share:plan").get("shares", {}).get(name, "not built"))
    if build.compiles:
        found[f"step:compile:{name}"] = _output(run, f"compile:{name}")
    if build.package:
        found |= _package_step(run, build)
        found["left out"] = json.dumps(build.key.leave_out_package)
    if rule.ships_source and not build.key.is_source_replaced:
        found |= _source(run, build)
    manifest = build.key.manifest
    if manifest and "manifest" in rule.copy.reads:
        found |= _manifest(run, rule, manifest, build.key.workspace)
    elif manifest and rule.ships_manifest and (posixpath.dirname(manifest) or ".") != build.key.source:
        # It goes in from outside of the code folder, but what is locked beside it does not.
        found[f"file:{manifest}"] = fingerprint.of_file(run.project.path(manifest), run.stats)
    if build.key.zips_dependencies:
        found["dependencies are zipped"] = helper_digest()
    return found | _beside(run, build)


def _beside(run: Run, build: Build) -> dict[str, str]:
    """Return what is added to the source. The order decides which file wins."""
    who, found = f"{build.key.kind} {build.name!r}", dict[str, str]()
    if build.key.include:
        found["include"] = " ".join(build.key.include)
    for path in build.key.include:
        kind = "folder" if os.path.isdir(run.project.path(path)) else "file"
        listing = source_files.listing_beside(run, build.key, path, who)
        found[f"{kind}:{path}"] = fingerprint.of_listing(
            f"{path} {_short(json.dumps(build.key.leave_out))}", listing, run.stats
        )
    for key in source_files.extras_keys(build.key):
        chosen = _short(json.dumps([*key.leave_out, *key.globs.lines]))
        listing = source_files.listing(run, key, who)
        found[f"extras:{key.source}"] = fingerprint.of_listing(f"{key.source} {chosen}", listing, run.stats)
    return found


def helper_digest() -> str:
    """The digest of the module that unpacks zipped dependencies."""
    with open(HELPER, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()[:32]


def share(run: Run, name: str) -> dict[str, str]:
    if name == "plan":
        return dict(_what_is_shared(run))
    if name == "upload":
        return {"step:share:zip": _output(run, "share:zip"), "store": store_identity(run.project)}
    found = {"step:share:plan": _output(run, "share:plan")}
    return found | ({"zip format": ZIP_FORMAT} if name == "zip" else {})


def _what_is_shared(run: Run) -> Iterator[tuple[str, str]]:
    """Yield who takes part, by what rules, and what each was resolved to; never a source."""
    yield "sharing format", SHARING_FORMAT
    for document in run.project.service.documents:
        yield f"ids of {document.path}", _short(json.dumps(sorted(document.names)))
    for sharer in run.index.candidates.values():
        key = run.index.builds[sharer.build].key
        yield f"dependencies of {sharer.build}", _output(run, f"resolve:{sharer.resolution}")
        yield f"package layers of {key.rule}", _short(repr(run.index.rules[key.rule].package_layers))
        filters = [key.leave_out_dependencies, key.globs.lines, key.globs.prefix]
        said = [sharer.functions, sharer.quota, repr(sharer.group), filters]
        yield f"function {sharer.build}", _short(json.dumps(said))
        if key.strip:
            yield f"stripped for {sharer.build}", tool_version(run.stats, STRIP)


def zip_(run: Run, name: str) -> dict[str, str]:
    return {f"step:copy:{name}": _output(run, f"copy:{name}"), "zip format": ZIP_FORMAT}


def hash_(run: Run, name: str) -> dict[str, str]:
    found = {f"step:zip:{name}": _output(run, f"zip:{name}"), f"step:copy:{name}": _output(run, f"copy:{name}")}
    for sizes in run.index.sizes.get(name, ()):
        found[f"layers of {sizes.function}"] = str(sizes.layer_count)
        found[f"handler of {sizes.function}"] = " ".join(sizes.handler)
        found |= {f"step:copy:{layer}": _output(run, f"copy:{layer}") for layer in sizes.layers}
    if name in run.index.candidates:
        found["shared layers"] = json.dumps(run.saved("share:plan").get("sizes", {}).get(name, "not built"))
    return found


def image(run: Run, name: str) -> dict[str, str]:
    image = run.index.images[name]
    return image_inputs.inputs(run, image) | {"name": " ".join(image.local_names)}


def _upload_image(run: Run, image: ImageBuild) -> dict[str, str]:
    if image.key.kind == "tagged":
        return {"image": image.key.place}
    found = {f"step:image:{image.name}": _output(run, f"image:{image.name}")}
    return found | {"repository": image.key.repository, "tags": " ".join(image.key.push_tags)}


def upload(run: Run, name: str) -> dict[str, str]:
    if name in run.index.images:
        return _upload_image(run, run.index.images[name])
    asset = run.index.assets.get(name)
    if asset is not None:
        digest = fingerprint.of_file(run.project.path(asset.source), run.stats)
        return {f"file:{asset.source}": digest, "store": store_identity(run.project)}
    pinned = run.index.pinned.get(name)
    if pinned is not None:
        place = run.index.sources[pinned.source].prefix
        return {"version": pinned.version, "source": f"{pinned.source} {place}", "store": store_identity(run.project)}
    if name in run.index.sources:
        found = {f"step:hash:{name}": _output(run, f"hash:{name}"), "store": store_identity(run.project)}
        return found | {"published": json.dumps(astuple(run.index.sources[name]))}
    return {f"step:hash:{name}": _output(run, f"hash:{name}"), "store": store_identity(run.project)}


def publish(run: Run, name: str) -> dict[str, str]:
    """Return what is published, and in which account. The step itself asks Lambda what it has."""
    publication = run.index.publications[name]
    builds = [run.index.plan.build_of(layer).name for layer in publication.layers]
    found = {f"step:upload:{build}": _output(run, f"upload:{build}") for build in builds}
    found |= {f"step:hash:{build}": _output(run, f"hash:{build}") for build in builds}
    found["layer"] = json.dumps(to_builtins(publication), sort_keys=True)
    found["lambda"] = (
        f"{destination.region(run.project)} {run.project.settings.profile} {run.project.settings.endpoint_url}"
    )
    return found | {f"environment:{name}": variable(run, name) for name in ACCOUNT}


def tree(run: Run, name: str) -> dict[str, str]:
    return {f"step:copy:{name}": _output(run, f"copy:{name}"), "users": ",".join(run.index.builds[name].users)}


def template(run: Run, name: str) -> dict[str, str]:
    found = {f"file:{document.path}": _short(document.text) for document in run.project.service.documents}
    definition = run.project.service.definition
    if definition is not None:
        found[f"file:{definition.path}"] = definition.digest
        found |= {"stage": definition.stage, "region": definition.region}
        found["compatible outputs"] = run.project.settings.serverless_dir
    found["left out"] = json.dumps(dict(run.index.unbuildable))
    for build in run.index.plan.builds:
        found[f"step:upload:{build.name}"] = _output(run, f"upload:{build.name}")
        found[f"users of {build.name}"] = ",".join(build.users)
    for image in run.index.plan.images:
        found[f"image:{image.name}"] = " ".join(image.local_names)
        found |= {f"step:{kind}:{image.name}": _output(run, f"{kind}:{image.name}") for kind in image.steps}
    found |= {f"step:upload:{asset.name}": _output(run, f"upload:{asset.name}") for asset in run.index.plan.assets}
    found |= {f"step:share:{step}": _output(run, f"share:{step}") for step in run.index.sharing_steps if step != "zip"}
    places = [_place(rewrite) for document in run.project.service.documents for rewrite in document.rewrites]
    return found | {"places": _short(json.dumps(places)), "store": store_identity(run.project)}


def _place(rewrite: Rewrite) -> list[Any]:
    kept = [rewrite.iteration.otherwise] if rewrite.iteration is not None else []
    return [rewrite.target, rewrite.span.start, rewrite.span.end, *kept]


def store_identity(project: Project) -> str:
    """Return as text where artifacts go, without secrets."""
    settings = project.settings
    if not destination.bucket(project):
        return f"folder {settings.store or '.store'}"
    place = f"s3://{destination.bucket(project)}/{settings.prefix} {settings.region} {settings.endpoint_url}"
    return f"{place} {settings.kms_key_id} {json.dumps(dict(settings.tags), sort_keys=True)}".rstrip()


def _claims(
    run: Run, rule: Rule, claims: StepClaims, options: Options, container: ContainerKey, is_away: bool = False
) -> dict[str, str]:
    found = {f"rule:{rule.name}": rule_digest(run, rule)}
    found |= {f"option:{name}": value for name, value in options if name in (*claims.options, claims.only_with_option)}
    found |= {f"environment:{name}": variable(run, name) for name in claims.environment_with(options)}
    if container.mode:
        image = container.image or container.dockerfile
        found["container"] = " ".join((container.mode, image, container.platform, container.rest))
    chosen = claims.tools_with(options)
    if is_away:
        return found | {f"tool:{name}": workers.tool_version(run, chosen, name) for name in chosen}
    here = [name for name in chosen if container.mode != "true" or name in claims.host_tools]
    return found | {f"tool:{name}": tool_version(run.stats, name) for name in here}


def _manifest(run: Run, rule: Rule, manifest: str, workspace: str) -> dict[str, str]:
    files = source_files.manifest_files(rule, manifest, workspace)
    return {f"file:{path}": fingerprint.of_file(run.project.path(path), run.stats) for path in files}


def _source(run: Run, build: Build) -> dict[str, str]:
    listing = source_files.listing(run, build.key, f"{build.key.kind} {build.name!r}")
    chosen = [*build.key.leave_out, *build.key.globs.lines, build.key.globs.prefix]
    patterns = _short(json.dumps(chosen))
    digest = fingerprint.of_listing(f"{build.key.source} {patterns}", listing, run.stats)
    return {f"folder:{build.key.source}": digest}


def _dependencies(run: Run, build: Build) -> dict[str, str]:
    """The first is the build's own; a layer for several runtimes has one more for each."""
    more = {f"dependencies ({name})": name for name in build.other_resolutions}
    named = {"dependencies": build.resolution, **more} if build.resolution else {}
    return {name: _output(run, f"resolve:{resolution}") for name, resolution in named.items()}


def _output(run: Run, task: str) -> str:
    return str(run.saved(task).get("output", "not built"))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
