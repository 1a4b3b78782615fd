"""Ruby gems of a Gemfile, installed by Bundler for the runtime's Ruby and processor.

Where Lambda's Ruby looks for gems: GEM_PATH of
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html and
https://docs.aws.amazon.com/lambda/latest/dg/ruby-layers.html
"""

import json
import os
import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lambdabuild.rule_api import (
    BadManifest,
    CannotResolve,
    DownloadFailed,
    Folder,
    Job,
    KnownFailure,
    LambdaBuildError,
    Offline,
    Result,
    ToolFailed,
    ToolMissing,
    copy_file,
    explain_output,
    write_file,
)

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = re.compile(r"ruby(\d+\.\d+)")
CPUS = {"x86_64": "x86_64", "arm64": "aarch64"}
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
EPOCH = "315532800"
"""1980: RubyGems writes this date where it would write today's."""
OURS = (
    "PATH", "PATH__SYSTEM", "SYSTEM", "DEPLOYMENT", "FROZEN", "WITHOUT", "WITH", "ONLY", "FORCE_RUBY_PLATFORM", "BIN",
    "GEMFILE",
)  # fmt: skip
"""Settings of Bundler that the rule decides, whatever the user's .bundle/config says."""
KIND = re.compile(r"\(Bundler::(?:\w+::)*(\w+)\)")
BACKTRACE = re.compile(r"^\s*(?:from )?/\S+:\d+:in [`'].*\n", re.MULTILINE)
ONCE = re.compile(r"^\s*s\.(extensions|installed_by_version) = .*\n|^# stub: \S+/\S+.*\n", re.MULTILINE)
"""Lines of a specification that make RubyGems look for what it compiled, and that name the RubyGems that did so."""
KNOWN_FAILURES = (
    KnownFailure(
        "^(?:GemNotFound|HTTPError|VersionConflict|SolveFailure)$",
        Offline,
        "vendor/cache has not all gems, and the run is offline",
        "run once without offline, or fill vendor/cache with: bundle cache",
        only_offline=True,
    ),
    KnownFailure(
        "^(?:ProductionError|LockfileError|FrozenError)$",
        BadManifest,
        "Gemfile.lock does not fit the Gemfile or the platform",
        "bring it up to date with: bundle lock --add-platform {cpu}-linux",
    ),
    KnownFailure(
        "^(?:InstallError|ExtensionBuildError)$",
        ToolFailed,
        "Bundler could not install a gem",
        "what it is compiled with must be here: a compiler, Ruby's headers (ruby-dev), the libraries it names",
    ),
    KnownFailure("^HTTPError$", DownloadFailed, "Bundler could not fetch gems", "see that the source can be reached"),
    KnownFailure(
        "^(?:GemNotFound|VersionConflict|SolveFailure|GitError)$",
        CannotResolve,
        "Bundler found no set of gems for the Gemfile",
        "correct the names and versions; Bundler's words above say which do not fit",
    ),
)
"""By the name of Bundler's exception."""
LOGS = ("gem_make.out", "mkmf.log", "gem.build_complete")
LEAVE_OUT = ("/**/bundler/gems/*/.git/", "/**/bundler/gems/**/gem_make.out", "/**/bundler/gems/**/mkmf.log")


def resolve(job: Job) -> Result:
    """Install the gems as RubyGems lays them out; in the container when ``use_container`` is auto and they need it."""
    if not _waits(job):
        return _resolve(job)
    try:
        return _resolve(job)
    except ToolMissing:  # Ruby itself, or one of the runtime's version to compile with
        for folder in (job.out, job.scratch):
            shutil.rmtree(folder)
            os.makedirs(folder)
        return _resolve(job.contained())


def _resolve(job: Job) -> Result:
    """Install the gems as a tree, and for functions the Gemfile, its lock and the settings to use it."""
    series = _series(job)
    bundle = _look(job, series)
    gems = [gem for source in bundle["local"] for gem in _gems(job, source)]
    work = _mirrored(job, bundle, gems)
    target = _environment(job, bundle, series)
    _install(job, work, target)
    place = _place(job, series)
    tree = os.path.join(job.out, place)
    notes = _moved(job, target, tree)
    _add_local(tree, gems)
    if job.target.kind == "function":
        notes += _ship_gemfile(job, work, place, bundle["gemfiles"], gems)
    return Result(
        parts=(Folder(job.out, leave_out=LEAVE_OUT),) if os.listdir(job.out) else (),
        reads=tuple(sorted(_reads(job, bundle, gems))),
        notes=tuple(notes),
        facts={"packages": _packages(tree), "kind": job.target.kind},
    )


def copy(job: Job) -> Result:
    """Return all of the source.

    A function and a layer with one Gemfile share what was resolved, but look for it apart.
    """
    made_for = job.earlier["resolve"].facts.get("kind") if "resolve" in job.earlier else None
    if made_for not in (None, job.target.kind):
        raise CannotResolve(
            f"{job.who} and a {made_for} have the same Gemfile, but Ruby looks for their gems in different folders",
            where=job.place(job.target.manifest),
            help="give one of them a Gemfile of its own that differs, by a comment that names it for instance",
        )
    return Result(parts=(Folder(job.target.source),))


def _series(job: Job) -> str:
    match = RUNTIME.match(job.target.runtime)
    if not match:
        raise CannotResolve(
            f"{job.who}: {job.target.runtime or 'no runtime'!r} does not say which Ruby the gems are for",
            help="write a runtime such as ruby3.4, for a layer as its BuildMethod or in CompatibleRuntimes",
        )
    return match[1]


def _place(job: Job, series: str) -> str:
    """Return the folder that Lambda's GEM_PATH names; a layer's ``ruby/`` comes from the claims."""
    return f"gems/{series}.0" if job.target.kind == "layer" else f"vendor/bundle/ruby/{series}.0"


# look: what the Gemfile names


def _look(job: Job, series: str) -> dict[str, Any]:
    ruby = job.tool("ruby", "install Ruby with Bundler")
    job.tool("bundle", "install Bundler, as with: gem install bundler")
    command = [ruby, os.path.join(HERE, "look.rb"), job.target.manifest, series]
    completed = job.run(command, extra_environment={"SOURCE_DATE_EPOCH": EPOCH, "BUNDLE_GEMFILE": job.target.manifest})
    bundle: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    if "error" in bundle:
        where = job.place(bundle["file"] or job.target.manifest, int(bundle["line"] or 1))
        raise BadManifest(
            f"{job.who}: Bundler cannot read the Gemfile", where=where, tail=bundle["error"].strip(), help="correct it"
        )
    if bundle["ruby"] is None:
        raise BadManifest(
            f"{job.who}: the Gemfile asks for Ruby {bundle['wanted_ruby']}, but the runtime is {job.target.runtime}",
            where=job.place(job.target.manifest, _line_of(job.target.manifest, r"\s*ruby\b")),
            help=f"write ruby '~> {series}.0' in the Gemfile, or change the runtime",
        )
    return bundle


def _line_of(file: str, pattern: str) -> int:
    with open(file, encoding="utf-8", errors="replace") as stream:
        return next((number for number, line in enumerate(stream, 1) if re.match(pattern, line)), 1)


def _gems(job: Job, source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the gem of a path; that of the code folder (``gemspec``) is the source and ships as such."""
    if source["folder"] == os.path.realpath(job.target.source):
        return []
    if len(source["gems"]) != 1:
        raise CannotResolve(
            f"{job.who}: the path {source['written']!r} has {len(source['gems'])} gems that the Gemfile may mean",
            where=job.place(job.target.manifest),
            help="name each gem with a path of its own",
        )
    if source["gems"][0]["native"]:
        raise CannotResolve(
            f"{job.who}: the gem {source['gems'][0]['name']} at {source['written']!r} has something to compile, "
            "which Bundler does not do for a path",
            where=job.place(job.target.manifest),
            help="build it with gem build and serve it from a registry or from vendor/cache",
        )
    return [source["gems"][0] | {"written": source["written"]}]


def _reads(job: Job, bundle: Mapping[str, Any], gems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    folder = os.path.dirname(job.target.manifest)
    for gem in gems:
        yield from _read_of(job, gem)
    yield from (file for file in bundle["gemfiles"] if file != job.target.manifest)
    yield from _own_gemspec(folder)
    for name in (".bundle/config", "vendor/cache"):
        if os.path.exists(os.path.join(folder, name)):
            yield os.path.join(folder, name)


def _read_of(job: Job, gem: Mapping[str, Any]) -> Iterator[str]:
    """Yield a gem's folder; of one that the code lies in too, what the gem is made of."""
    if not os.path.realpath(job.target.source).startswith(gem["folder"] + os.sep):
        yield gem["folder"]
        return
    yield os.path.join(gem["folder"], "lib")
    yield from (os.path.join(gem["folder"], name) for name in (*gem["files"], *gem["gemspecs"]))


def _own_gemspec(folder: str) -> Iterator[str]:
    """Yield the gemspecs next to the Gemfile, and the files that usually hold their version."""
    gemspecs = [name for name in sorted(os.listdir(folder)) if name.endswith(".gemspec")]
    yield from (os.path.join(folder, name) for name in gemspecs)
    for parent, _, names in os.walk(os.path.join(folder, "lib")) if gemspecs else ():
        yield from (os.path.join(parent, name) for name in names if name == "version.rb")


# install: Bundler, in a copy


def _mirrored(job: Job, bundle: Mapping[str, Any], gems: Sequence[Mapping[str, Any]]) -> str:
    """Return a copy of the Gemfile's folder with its local gems at the same relative paths.

    The user's stays as it is.
    """
    folder = os.path.realpath(os.path.dirname(job.target.manifest))
    files = {os.path.join(gem["folder"], name) for gem in gems for name in (*gem["files"], *gem["gemspecs"])}
    files |= {os.path.realpath(file) for file in (*bundle["gemfiles"], *_own_gemspec(folder))}
    files |= {os.path.join(folder, name) for name in ("Gemfile.lock", ".ruby-version")}
    top = os.path.commonpath([folder, *(os.path.dirname(file) for file in files)])
    work = os.path.normpath(os.path.join(job.scratch, "tree", os.path.relpath(folder, top)))
    for file in sorted(filter(os.path.exists, files)):
        copy_file(file, os.path.join(job.scratch, "tree", os.path.relpath(file, top)))
    if os.path.isdir(os.path.join(folder, "vendor/cache")):
        shutil.copytree(os.path.join(folder, "vendor/cache"), os.path.join(work, "vendor/cache"))
    write_file(os.path.join(work, ".bundle/config"), _settings(job, folder))
    return work


def _settings(job: Job, folder: str) -> str:
    """The user's settings (mirrors, credentials, flags of builds), and ours in the place of those that decide where."""
    theirs: list[str] = []
    keep = True
    try:
        with open(os.path.join(folder, ".bundle/config"), encoding="utf-8") as stream:
            for line in stream:
                name = re.match(r"BUNDLE_([^\s:]+):", line)
                keep = name[1] not in OURS if name else keep
                theirs += [line] if keep and line.strip() != "---" else []
    except FileNotFoundError:
        pass
    ours = {"PATH": os.path.join(job.scratch, "gems"), "WITHOUT": _without(job), "FORCE_RUBY_PLATFORM": "false"}
    if os.path.exists(os.path.join(folder, "Gemfile.lock")):
        ours["FROZEN"] = "true"
    return "---\n" + "".join(theirs) + _yaml(ours)


def _yaml(settings: Mapping[str, str]) -> str:
    return "".join(f"BUNDLE_{name}: {json.dumps(value)}\n" for name, value in settings.items())


def _without(job: Job) -> str:
    wanted = job.target.options.get("without", ("development", "test"))
    return wanted if isinstance(wanted, str) else ":".join(str(name) for name in wanted)


def _environment(job: Job, bundle: Mapping[str, Any], series: str) -> dict[str, str]:
    machine, cpu = bundle["machine"], CPUS[job.target.architecture]
    same_ruby = machine["ruby"].startswith(f"{series}.")
    same_cpu = "linux" in machine["os"] and MACHINES.get(machine["cpu"]) == cpu
    return {
        "LAMBDABUILD_PLATFORM": f"{cpu}-linux",
        "LAMBDABUILD_RUBY": bundle["ruby"],
        "LAMBDABUILD_NATIVE": os.path.join(job.scratch, "native"),
        "LAMBDABUILD_COMPILE": "yes" if same_ruby and same_cpu and not _waits(job) else "no",
        "LAMBDABUILD_MACHINE": f"Ruby {machine['ruby']} on {machine['cpu']}",
    }


def _waits(job: Job) -> bool:
    """Return whether compiling is left to the container."""
    return job.use_container == "auto" and job.runner is not job.container


def _install(job: Job, work: str, target: Mapping[str, str]) -> None:
    """``bundle install``; BUNDLE_* variables whose name holds a host (``__``) are credentials and mirrors."""
    command = [job.tool("ruby"), os.path.join(HERE, "install.rb"), "--quiet"]
    command += ["--local"] if job.offline else []
    hosts = {name: value for name, value in os.environ.items() if re.match(r"BUNDLE_(?!BUILD__)\w.*__", name)}
    preloaded = {"RUBYLIB": os.path.join(HERE, "preloaded"), "RUBYOPT": "-rlambdabuild_flags"}
    fixed = {
        "SOURCE_DATE_EPOCH": EPOCH,
        "BUNDLE_GEMFILE": os.path.join(work, "Gemfile"),
        "BUNDLE_SILENCE_ROOT_WARNING": "true",
    }
    try:
        job.run(command, cwd=work, extra_environment={**hosts, **preloaded, **fixed, **target})
    except ToolFailed as error:
        raise _explain(job, error) from error


def _explain(job: Job, error: ToolFailed) -> LambdaBuildError:
    match = KIND.search(error.output)
    words = [line for line in BACKTRACE.sub("", KIND.sub("", error.output)).splitlines() if line.strip()]
    kind, cpu = match[1] if match else "", CPUS[job.target.architecture]
    return explain_output(job, error, KNOWN_FAILURES, output=kind, tail="\n".join(words[-25:]), cpu=cpu)


# what was installed, as it ships


def _moved(job: Job, target: Mapping[str, str], tree: str) -> list[str]:
    """Bring what RubyGems needs at run time from the scratch folder to its place; gives notes."""
    installed = next(_folders(os.path.join(job.scratch, "gems", "ruby")), "")
    native = _native(target["LAMBDABUILD_NATIVE"])
    notes = []
    if target["LAMBDABUILD_COMPILE"] == "no":
        _refuse_native(job, [name for name, comes_with_ruby in native.items() if not comes_with_ruby], target)
        for name in native:
            _remove_gem(installed, name)
            notes.append(f"{name} has something to compile and is left to the copy that {job.target.runtime} has")
    else:
        for name in native:
            _keep_compiled(installed, name)
    for name in ("gems", "specifications", "bundler"):
        if installed and os.path.isdir(os.path.join(installed, name)):
            shutil.copytree(os.path.join(installed, name), os.path.join(tree, name), symlinks=True)
    _steady_specifications(os.path.join(tree, "specifications"))
    return notes


def _folders(parent: str) -> Iterator[str]:
    if os.path.isdir(parent):
        yield from (entry.path for entry in sorted(os.scandir(parent), key=lambda e: e.name) if entry.is_dir())


def _native(file: str) -> dict[str, bool]:
    """Return the gems with something to compile, and whether each comes with Ruby itself."""
    if not os.path.exists(file):
        return {}
    with open(file, encoding="utf-8") as stream:
        return {name: own.strip() == "true" for name, own in sorted(line.split(" ", 1) for line in stream)}


def _refuse_native(job: Job, names: Sequence[str], target: Mapping[str, str]) -> None:
    if names:
        raise ToolMissing(
            f"{job.who} is for {job.target.runtime} on {job.target.architecture}, but this machine has "
            f"{target['LAMBDABUILD_MACHINE']} and cannot compile {', '.join(names)}",
            where=job.place(job.target.manifest),
            help="build where that Ruby is on PATH, or use versions that are published compiled: "
            f"bundle lock --add-platform {target['LAMBDABUILD_PLATFORM']}",
        )


def _remove_gem(installed: str, name: str) -> None:
    shutil.rmtree(os.path.join(installed, "gems", name), ignore_errors=True)
    os.unlink(os.path.join(installed, "specifications", f"{name}.gemspec"))


def _keep_compiled(installed: str, name: str) -> None:
    """Compiled files go to the gem's own lib folder, and what they were compiled from goes.

    RubyGems has them in ``extensions/PLATFORM/ABI`` too, whose names differ between builds of one Ruby.
    """
    gem = os.path.join(installed, "gems", name)
    specification = os.path.join(installed, "specifications", f"{name}.gemspec")
    if not os.path.exists(specification):
        return
    with open(specification, encoding="utf-8") as stream:
        text = stream.read()
    stubs = re.findall(r"^# stub: (.*)$", text, re.MULTILINE)
    library = os.path.join(gem, stubs[0].split(" ", 3)[3].split("\0")[0])
    for platform in _folders(os.path.join(installed, "extensions")):
        for abi in _folders(platform):
            compiled = os.path.join(abi, name)
            if os.path.isdir(compiled):
                shutil.copytree(compiled, library, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LOGS))
    for extension in stubs[1].split("\0") if len(stubs) > 1 else ():
        if "/" in extension:
            shutil.rmtree(os.path.join(gem, os.path.dirname(extension)), ignore_errors=True)


def _steady_specifications(folder: str) -> None:
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        file = os.path.join(folder, name)
        if name.endswith(".gemspec"):
            with open(file, encoding="utf-8") as stream:
                text = stream.read()
            write_file(file, ONCE.sub("", text))


def _add_local(tree: str, gems: Sequence[Mapping[str, Any]]) -> None:
    """Install gems of a path, with their gemspec evaluated, because the original may ask git for file names."""
    for gem in gems:
        place = os.path.join(tree, "gems", gem["full_name"])
        text = ONCE.sub("", gem["specification"])
        for name in gem["files"]:
            copy_file(os.path.join(gem["folder"], name), os.path.join(place, name))
        for name in {*gem["gemspecs"], f"{gem['name']}.gemspec"} if gem["gemspecs"] else ():
            write_file(os.path.join(place, name), text)
        write_file(os.path.join(tree, "specifications", f"{gem['full_name']}.gemspec"), text)


def _ship_gemfile(
    job: Job, work: str, place: str, gemfiles: Sequence[str], gems: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Gemfile, lock and settings for ``require "bundler/setup"``, their paths pointing into the artifact."""
    paths = {gem["written"]: f"{place}/gems/{gem['full_name']}" for gem in gems}
    names = {gem["written"]: gem["name"] for gem in gems}
    notes = [
        f"{os.path.relpath(file, job.target.project)} is not at its place in the artifact: there, bundler/setup fails"
        for file in gemfiles
        if os.path.relpath(file, job.target.source).startswith("..") and file != job.target.manifest
    ]
    with open(os.path.join(work, "Gemfile"), encoding="utf-8") as stream:
        gemfile = stream.read()
    with open(os.path.join(work, "Gemfile.lock"), encoding="utf-8") as stream:
        lock = stream.read()
    for written, inside in paths.items():
        if posixpath.normpath(written) == ".":
            gemfile = re.sub(r"(?m)^\s*gemspec\b.*$", f'gem "{names[written]}", path: "{inside}"', gemfile)
        literal = re.compile(rf"""(\bpath["']?\s*(?::|=>|\()?\s*)(["']){re.escape(written)}\2""")
        if inside not in gemfile and not literal.search(gemfile):
            notes.append(f"the Gemfile computes the path {written!r}: in the artifact, bundler/setup fails")
        gemfile = literal.sub(rf"\g<1>\g<2>{inside}\g<2>", gemfile)
        locked = re.escape(posixpath.normpath(written))
        lock = re.sub(rf"(?m)^  remote: (?:\./)?{locked}/?$", f"  remote: {inside}", lock)
    write_file(os.path.join(job.out, "Gemfile"), gemfile)
    write_file(os.path.join(job.out, "Gemfile.lock"), lock)
    settings = {"PATH": "vendor/bundle", "WITHOUT": _without(job), "DEPLOYMENT": "true"}
    write_file(os.path.join(job.out, ".bundle/config"), "---\n" + _yaml(settings))
    return notes


def _packages(tree: str) -> list[dict[str, str]]:
    packages = []
    folder = os.path.join(tree, "specifications")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            stub = re.search(r"^# stub: (\S+) (\S+)", stream.read(), re.MULTILINE)
        if stub:
            packages.append({"name": stub[1], "version": stub[2]})
    return packages
