"""What the tasks do. The only place where the bytes of a build move; a step does what the plan says.

``perform`` is the action of every task: it takes the project's lock, runs one of the steps below, writes the receipt
and gives doit the values to keep: ``{"inputs": fingerprint, "output": digest, ...}``.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from doit.exceptions import TaskFailed

from lambdabuild.artifacts.entries import Entry, InArchive
from lambdabuild.engine import caching, commands, freshness, receipts
from lambdabuild.engine.session import begin, keep, saved
from lambdabuild.engine.site import Site
from lambdabuild.errors import CannotRead, CannotWrite, LambdaBuildError, NoEngine
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import Build, Native, Rule, StepClaims
from lambdabuild.rule_api import Job, Result, Target, result_from_data, result_to_data
from lambdabuild.rulebook import steps
from lambdabuild.spans import Span

if TYPE_CHECKING:
    from lambdabuild.engine.assemble import InLayer


@dataclass(frozen=True)
class Done:
    """What a step hands to ``perform``: the digest of what came out, and what people, ``why`` and later steps need."""

    output: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """Kept by doit, and shown by the reporter: ``size``, ``unzipped``, ``sent``, ``notes``, ``location``, ``parts``."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """Kept in the receipt, for the steps after it and the manifest."""
    reads: tuple[str, ...] = ()
    """What the step found out it reads, as records name it."""
    images: Mapping[str, str] = field(default_factory=dict)
    """The images in which its tools ran."""
    folders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def perform(site: Site, kind: str, name: str) -> dict[str, Any] | TaskFailed:
    """Run one step. A mistake of the user's is a TaskFailed, which doit prints without a traceback."""
    try:
        return _perform(site, kind, name)
    except (LambdaBuildError, OSError) as error:
        return failed(error, f"{kind}:{name}")


def _perform(site: Site, kind: str, name: str, *, look_up: bool = True) -> dict[str, Any]:
    begin(site)
    site.shared.ran.add((kind, name))
    before = freshness.components(site, kind, name, saved)  # first: an edit made while we build must count as a change
    _remove(site.receipt(kind, name))
    may_restore = look_up and not site.shared.is_anew
    values = (_restored(site, kind, name, before) if may_restore else None) or _run(site, kind, name, before)
    site.shared.last_ran_ns = time.time_ns()
    return values


def _restored(site: Site, kind: str, name: str, before: Mapping[str, str]) -> dict[str, Any] | None:
    """What a cache has of the step, put where the step would have left it."""
    entry = caching.find(site, kind, name, before)
    left = caching.restore(site, kind, name, entry) if entry is not None else None
    if left is None:
        return None
    if kind == "zip":
        _link_users(site, name, ".zip")
    return _kept(
        site, kind, name, receipts.Receipt(before, left.output, left.reads, left.folders, left.result), left.values
    )


def _run(site: Site, kind: str, name: str, before: Mapping[str, str]) -> dict[str, Any]:
    if caching.provide(site, kind, name, lambda *step: _run_again(site, *step)):
        before = freshness.components(site, kind, name, saved)
    started = time.time_ns()
    done = STEPS[kind](site, name)
    reads = {
        key: _unless_newer(site, key, digest, started) for key, digest in freshness.reads(site, done.reads).items()
    }
    receipt = receipts.Receipt(before, done.output, {**reads, **done.images}, done.folders, done.result)
    values = {
        **done.values,
        **({"images": dict(done.images)} if done.images else {}),
        "seconds": round((time.time_ns() - started) / 1e9, 3),
    }
    caching.offer(site, kind, name, before, receipt, values)
    return _kept(site, kind, name, receipt, values)


def _run_again(site: Site, kind: str, name: str) -> str:
    """Run a step on behalf of one after it, for its bytes are nowhere any more; gives its output."""
    values = _perform(site, kind, name, look_up=False)
    keep(freshness.task_name(kind, name), values)
    return str(values["output"])


def _kept(site: Site, kind: str, name: str, receipt: receipts.Receipt, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the receipt; gives what doit keeps."""
    receipts.write(site.receipt(kind, name), receipt)
    return {
        "inputs": fingerprint.of({**receipt.components, **receipt.reads}),
        "output": receipt.output,
        "reads": [key.removeprefix("read:") for key in receipt.reads if key.startswith("read:")],
        **values,
    }


def _unless_newer(site: Site, key: str, digest: str, started: int) -> str:
    """A file that was edited while the step ran may have been read before: count it as changed."""
    try:
        newer = os.stat(freshness.expand(site, key.removeprefix("read:"))).st_mtime_ns >= started
    except OSError:
        return digest
    return freshness.CHANGED if newer else digest


def failed(error: LambdaBuildError | OSError, what: str) -> TaskFailed:
    """A mistake of the user's as doit knows it; the reporter finds the error itself in ``error``."""
    known = from_os_error(error, what) if isinstance(error, OSError) else error
    found: Any = TaskFailed(str(known))
    found.error = known
    return cast("TaskFailed", found)


MENDS = {
    errno.ENOSPC: "make room on the disk; what was built before is intact",
    errno.EDQUOT: "make room in your quota; what was built before is intact",
    errno.EACCES: "give yourself the right to it",
    errno.EPERM: "give yourself the right to it",
    errno.EROFS: "choose a build_dir on a disk that can be written",
    errno.EISDIR: "remove the folder that stands where a file should be",
    errno.ENOTDIR: "remove the file that stands where a folder should be",
    errno.EEXIST: "remove what stands in its place",
    errno.ENOTEMPTY: "remove what stands in its place",
}


def from_os_error(error: OSError, what: str) -> LambdaBuildError:
    """What the operating system refused, in words: which path, and how to mend it."""
    path = str(error.filename2 or error.filename or "")
    unreadable = error.errno == errno.EACCES and os.path.exists(path) and not os.access(path, os.R_OK)
    kind = CannotRead if unreadable or error.errno in (errno.ENOENT, errno.ELOOP) else CannotWrite
    where = Span(path) if path else None
    return kind(f"{what}: {error.strerror or error}", where=where, mend=MENDS.get(error.errno or 0, ""))


# resolve, compile: a rule's own steps


def _resolve(site: Site, name: str) -> Done:
    resolution = site.resolution(name)
    build = site.build(resolution.users[0])
    build = replace(build, key=replace(build.key, runtime=resolution.key.runtime))  # a layer may have several
    rule = site.rules[resolution.key.rule]
    return _rule_step(site, rule, rule.resolve or StepClaims(), "resolve", name, build, {})


def _compile(site: Site, name: str) -> Done:
    build = site.build(name)
    rule = site.rules[build.key.rule]
    return _rule_step(site, rule, rule.compile or StepClaims(), "compile", name, build, _earlier(site, build))


def _package(site: Site, name: str) -> Done:
    """Build and install a distribution, once for all builds that have it."""
    package = site.package(name)
    rule = site.rules[package.key.rule]
    found = fingerprint.files(freshness.source_listing(site, package.key, f"source {name!r}"), site.stats)
    done = _rule_step(site, rule, rule.compile or StepClaims(), "package", name, package, {})
    return replace(done, folders={package.key.source: found})


def _rule_step(
    site: Site, rule: Rule, claims: StepClaims, step: Any, name: str, build: Build, earlier: Mapping[str, Result]
) -> Done:
    """Run a rule's step into a new folder that takes the old one's place only when all went well."""
    out = site.out(step, name)
    native = site.resolution(name).key.native if step == "resolve" else build.key.native
    with site.scratch() as scratch:
        fresh, work = os.path.join(scratch, "out"), os.path.join(scratch, "work")
        os.makedirs(fresh)
        os.makedirs(work)
        job = _in_container(site, native, _job(site, rule, claims, step, name, build, fresh, work, earlier))
        result = commands.run(rule, build.key, job) if step == "compile" else steps.run(rule, job)
        _replace_folder(fresh, out)
    result = _moved(result, fresh, out)
    data = result_to_data(result, site.roots)
    parts = [
        part | {"content": _part_digest(site, part_path.path)}
        for part, part_path in zip(data["parts"], result.parts, strict=True)
    ]
    return Done(
        output=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        values={"notes": data["notes"], "parts": [part["path"] for part in data["parts"]]},
        result=data,
        reads=tuple(data["reads"]),
        images=_images(site, native, job),
    )


def _in_container(site: Site, native: Native, job: Job) -> Job:
    """The step with the container that its function asks for."""
    if not native.mode:
        return job
    from lambdabuild.engine.containers import InContainer

    container = InContainer(site, native, job.target.name)
    runner = container if native.mode == "true" else job.runner
    container.job = replace(job, native=native.mode, container=container, runner=runner)
    return container.job


def _images(site: Site, native: Native, job: Job) -> dict[str, str]:
    """The image that the step's tools ran in, if they did."""
    if job.container is None:
        return {}
    from lambdabuild.engine import containers

    is_used = isinstance(job.container, containers.InContainer) and job.container.is_used
    return containers.used(site, native) if is_used else {}


def _job(
    site: Site, rule: Rule, claims: StepClaims, step: Any, name: str, build: Build, out: str, scratch: str,
    earlier: Mapping[str, Result],
) -> Job:  # fmt: skip
    return Job(
        step="compile" if step == "package" else step,
        target=target_of(site, build),
        out=out,
        scratch=scratch,
        store=site.cache_dir,
        cache=site.cache(step, name),
        offline=site.settings.offline,
        environment=freshness.environment_names(claims, build.key.options),
        timeout_seconds=site.settings.tool_timeout_seconds or None,
        earlier=earlier,
        files=_files(site, step, build),
    )


def _files(site: Site, step: str, build: Build) -> tuple[str, ...]:
    """What of the source may enter the artifact; nothing when a distribution does and no command wants the source."""
    if step == "resolve" or (build.package and not build.key.command.run):
        return ()
    return tuple(found.path for found in freshness.source_listing(site, build.key).files)


def target_of(site: Site, build: Build) -> Target:
    return Target(
        name=build.name,
        kind=build.key.kind,
        runtime=build.key.runtime,
        architecture="arm64" if build.key.architecture == "arm64" else "x86_64",
        source=site.path(build.key.source),
        manifest=site.path(build.key.manifest) if build.key.manifest else "",
        project=site.project,
        options={name: json.loads(value) for name, value in build.key.options},
    )


def _moved(result: Result, old: str, new: str) -> Result:
    """The same result after its folder was given its final name."""
    data = result_to_data(result, {"out": old})
    return result_from_data(data, {"out": new})


def _part_digest(site: Site, path: str) -> str:
    """An archive's path holds its sha256 already; a folder's content is hashed."""
    return fingerprint.of_file(path, site.stats) if os.path.isdir(path) else ""


def _earlier(site: Site, build: Build) -> dict[str, Result]:
    found = {"resolve": _result(site, "resolve", build.resolution)} if build.resolution else {}
    return found | ({"package": _result(site, "package", build.package)} if build.package else {})


def _result(site: Site, kind: str, name: str) -> Result:
    receipt = receipts.read(site.receipt(kind, name))
    if receipt is None:
        raise CannotRead(
            f"what {kind}:{name} made is gone", where=Span(site.receipt(kind, name)), mend=f"doit forget {kind}:{name}"
        )
    return result_from_data(receipt.result, site.roots)


# copy: settle the list


def _copy(site: Site, name: str) -> Done:
    from lambdabuild.engine import assemble

    build = site.build(name)
    rule = site.rules[build.key.rule]
    earlier = _earlier(site, build)
    if build.compiles:
        earlier["compile"] = _result(site, "compile", name)
    with site.scratch() as scratch:
        job = _in_container(
            site, build.key.native, _job(site, rule, rule.copy, "copy", name, build, scratch, scratch, earlier)
        )
        own = Result() if build.key.is_source_replaced else steps.run(rule, job)
    resolved = [(site.resolution(one).key.runtime, _result(site, "resolve", one)) for one in build.resolutions]
    settled = assemble.settle(site, build, rule, {**earlier, "copy": own}, resolved, _in_layers(site, name))
    assemble.write_list(site, name, settled.entries)
    return Done(
        output=settled.digest,
        values={
            "files": len(settled.entries),
            "unzipped": settled.unzipped,
            "notes": list(settled.notes),
            "parts": [
                *(assemble.made(site, settled.entries) if build.key.strip else ()),
                *(freshness.portable(site, path) for path in settled.made),
            ],
        },
        result={
            "tree_digest": settled.digest,
            "unzipped": settled.unzipped,
            "files": len(settled.entries),
            "left_out": list(settled.left_out),
            "packages": _packages(result for _, result in resolved),
        },
        images=_images(site, build.key.native, job),
        folders=settled.files,
    )


def _packages(results: Iterable[Result]) -> list[Any]:
    """What was resolved, each once though several runtimes have it."""
    found = [package for result in results for package in result.facts.get("packages", ())]
    return [package for position, package in enumerate(found) if package not in found[:position]]


def _in_layers(site: Site, name: str) -> list[InLayer]:
    """Which of the resolved packages lie in shared layers."""
    from lambdabuild.engine import assemble, shared_layers

    share = shared_layers.decided(site).shares.get(name)
    return [assemble.InLayer(positions, frozenset(places)) for positions, places in share.units] if share else []


# zip, hash, tree: make it files


def _zip(site: Site, name: str) -> Done:
    from lambdabuild.artifacts.zips import ZipSummary, write_zip
    from lambdabuild.engine import assemble

    target, kept = site.zip(name), site.record("zip", name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with _in_turn(site, name) as newest:
        found = (ZipSummary.read(site.record("zip", one), site.zip(one)) for one in (name, *newest))
        summary = write_zip(target, assemble.read_list(site, name), previous=filter(None, found))
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        summary.write(kept)
    _link_users(site, name, ".zip")
    return Done(
        output=summary.sha256,
        values={"size": summary.size, "unzipped": summary.unzipped},
        result={"sha256": summary.sha256, "size": summary.size},
    )


@contextmanager
def _in_turn(site: Site, name: str) -> Iterator[tuple[str, ...]]:
    """The one that zipped the same dependencies last, if there is one: what the first packs the others copy.

    Wheels are packed as they come. Of what an installer leaves in a folder, only one packs at a time.
    """
    resolved = site.build(name).resolution
    receipt = receipts.read(site.receipt("resolve", resolved)) if resolved else None
    if receipt is None:
        yield ()
        return
    is_packed_here = any(part["folder"] for part in receipt.result["parts"])
    with site.shared.lock_of(resolved) if is_packed_here else nullcontext():
        yield _with_the_same_dependencies(site, name, site.zip)


def _with_the_same_dependencies(site: Site, name: str, made: Callable[[str], str]) -> tuple[str, ...]:
    """The other build with the same dependencies whose zip or tree is the newest, if there is one."""
    resolved = site.build(name).resolution
    users = site.resolution(resolved).users if resolved else ()
    others = [user for user in users if user != name and os.path.exists(made(user))]
    return tuple(sorted(others, key=lambda user: os.stat(made(user)).st_mtime_ns)[-1:])


def _hash(site: Site, name: str) -> Done:
    import base64

    from lambdabuild.engine import assemble

    sha256, size = site.stats.digest(site.zip(name)), os.path.getsize(site.zip(name))
    notes = assemble.check_limits(site, name, size, _shared(site, name))
    return Done(
        output=sha256,
        values={"size": size, "notes": notes},
        result={"sha256": sha256, "code_sha256": base64.b64encode(bytes.fromhex(sha256)).decode(), "size": size},
    )


def _shared(site: Site, name: str) -> list[tuple[str, int]]:
    """The shared layers of a build, with their unzipped bytes."""
    from lambdabuild.engine import shared_layers

    return [(layer.name, layer.unzipped) for layer in shared_layers.decided(site).layers if name in layer.builds]


def _tree(site: Site, name: str) -> Done:
    from lambdabuild.artifacts.archives import lying_in
    from lambdabuild.artifacts.trees import TreeRecord, write_tree
    from lambdabuild.engine import assemble

    target, kept = site.tree(name), site.record("tree", name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    with site.shared.trees_lock:  # two that are written at once would know nothing of one another's files
        entries, twins = assemble.read_list(site, name), site.shared.twins
        for other in _with_the_same_dependencies(site, name, site.tree):
            if site.tree(other) not in twins.trees and (record := TreeRecord.read(site.record("tree", other))):
                twins.add(site.tree(other), record, _packages_files(site, assemble.read_list(site, other)))
        written = lying_in(site.zip(name), entries) if caching.are_away(site, name) else entries
        record = write_tree(target, written, recorded=TreeRecord.read(kept), twins=twins)
        record.write(kept)
        twins.add(target, record, _packages_files(site, entries))
    _link_users(site, name, "")
    receipt = receipts.read(site.receipt("copy", name))
    return Done(output=receipt.output if receipt else "")


def _packages_files(site: Site, entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.lies, InArchive) or entry.lies.path.startswith(site.state_dir):
            yield entry.path


def _link_users(site: Site, name: str, suffix: str) -> None:
    """Those who share the build find it under their own name too."""
    for user in site.build(name).users:
        if user == name:
            continue
        link = os.path.join(site.build_dir, user + suffix)
        target = os.path.relpath(os.path.join(site.build_dir, name + suffix), os.path.dirname(link))
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if os.path.islink(link) and os.readlink(link) == target:
            continue
        remove(link)
        os.symlink(target, link)


# upload, template: tell where it is


def _upload(site: Site, name: str) -> Done:
    from lambdabuild.engine import deployed, publish

    if name in site.images:
        return _upload_image(site, name)
    if name in site.assets:
        return _sent(site, publish.asset(site, site.assets[name]))
    if name in site.pinned:
        return _sent(site, publish.pinned(site, site.pinned[name]))
    receipt = receipts.read(site.receipt("hash", name))
    if receipt is None:
        raise CannotRead(f"what hash:{name} found is gone", mend=f"doit forget hash:{name}")
    found = receipt.result
    sha256, size = found["sha256"], found["size"]
    if name in site.sources:
        return _published(site, name, sha256, size)
    deployed_key = deployed.layer_key(site, name, sha256) if site.build(name).key.kind == "layer" else ""
    if deployed_key:
        return _sent(site, publish.Sent(f"s3://{site.bucket}/{deployed_key}", deployed_key, sha256, False, size))
    return _sent(site, publish.put(site, site.artifact_key(name, sha256), site.zip(name), sha256, size))


def _published(site: Site, name: str, sha256: str, size: int) -> Done:
    from lambdabuild.engine import publish

    version = _result(site, "package", site.build(name).package).facts["version"]
    sent = publish.version(site, site.sources[name], site.zip(name), sha256, size, version)
    done, address = _sent(site, sent), publish.console_note(site, sent)
    notes = [f"{name} {version} is {sent.location}", *([f"look at it: {address}"] if address else [])]
    values = {**done.values, "version": version, **({"notes": notes} if sent.sent else {})}
    return replace(done, values=values, result={**done.result, "version": version})


def _sent(site: Site, sent: Any) -> Done:
    location = freshness.portable(site, sent.location)
    return Done(
        output=location,
        values={"location": location, "sent": sent.sent, "size": sent.size},
        result={"location": location, "key": sent.key, "sha256": sent.sha256},
    )


def _image(site: Site, name: str) -> Done:
    from lambdabuild.engine import images

    image, made = site.images[name], images.make(site, name)
    folders = {image.key.place: images.files(site, image)} if image.key.kind == "recipe" else {}
    return Done(
        output=made.id,
        values={"size": made.size, "fingerprint": made.fingerprint},
        result={"id": made.id, "size": made.size, "fingerprint": made.fingerprint, "bases": dict(made.bases)},
        folders=folders,
    )


def _upload_image(site: Site, name: str) -> Done:
    from lambdabuild.engine import images

    if site.images[name].key.kind == "tagged":
        sent = images.ask(site, name)
    else:
        receipt = receipts.read(site.receipt("image", name))
        if receipt is None:
            raise CannotRead(f"what image:{name} made is gone", mend=f"doit forget image:{name}")
        sent = images.send(site, name, receipt.result)
    return Done(
        output=sent.location,
        values={"location": sent.location, "sent": sent.sent, "size": sent.size},
        result={"location": sent.location, "key": sent.location, "sha256": sent.digest.partition(":")[2]},
    )


def _publish(site: Site, name: str) -> Done:
    from lambdabuild.engine import layers

    published = layers.publish_layer(site, site.publications[name])
    layers.write(site, name, published.versions)
    arns = [version["arn"] for version in published.versions]
    return Done(
        output=" ".join(arns),
        values={"versions": arns, "published": published.count, "notes": list(published.notes)},
        result={"versions": list(published.versions)},
    )


def _share(site: Site, name: str) -> Done:
    from lambdabuild.engine import shared_layers

    made = shared_layers.STEPS[name](site)
    return Done(made.output, made.values, made.result)


def _template(site: Site, name: str) -> Done:
    from lambdabuild.engine import publish

    written = {freshness.portable(site, path): digest for path, digest in publish.templates(site).items()}
    return Done(output=fingerprint.of(written), values={"written": written})


STEPS: dict[str, Callable[[Site, str], Done]] = {
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


def made_by(site: Site, kind: str, name: str) -> Iterable[str]:
    """Every file and folder a step made, for ``doit clean``."""
    yield site.receipt(kind, name)
    if kind in ("resolve", "package", "compile"):
        yield site.out(kind, name)
    elif kind == "copy":
        yield site.record("copy", name)
        yield site.out("zipped", name)
    elif kind in ("zip", "tree"):
        yield site.record(kind, name)
        for user in site.build(name).users:
            yield site.zip(user) if kind == "zip" else site.tree(user)
    elif kind == "publish":
        yield freshness.published_file(site)  # of the others too, who then look again
    elif kind == "share":
        from lambdabuild.engine import shared_layers

        yield from shared_layers.made_by(site, name)
    elif kind == "template":
        from lambdabuild.engine import publish

        yield from publish.outputs(site)


def clean(site: Site, kind: str, name: str, dryrun: bool = False) -> None:
    """doit's clean action: remove what the step made, and containers that a killed run left."""
    begin(site)
    if kind in ("resolve", "compile") and not dryrun:
        from lambdabuild.engine import containers

        containers.sweep_if_there(site)
    if kind == "image" and not dryrun:
        _forget_image(site, name)
    for path in list(made_by(site, kind, name)):
        if os.path.lexists(path) and not dryrun:
            remove(path)
            _remove_empty_parents(path, site.build_dir)


def _forget_image(site: Site, name: str) -> None:
    """Without an engine there is nothing to be forgotten but files."""
    from lambdabuild.engine import images

    receipt = receipts.read(site.receipt("image", name))
    try:
        if receipt is not None:
            images.remove(site, name, receipt.result)
    except NoEngine as error:
        sys.stderr.write(f"{error}\n")


def remove(path: str) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _remove_empty_parents(path: str, top: str) -> None:
    parent = os.path.dirname(path)
    while parent.startswith(top + os.sep):
        try:
            os.rmdir(parent)
        except OSError:
            return
        parent = os.path.dirname(parent)


def _replace_folder(new: str, old: str) -> None:
    os.makedirs(os.path.dirname(old), exist_ok=True)
    remove(old)
    os.replace(new, old)
