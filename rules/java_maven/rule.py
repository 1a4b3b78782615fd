"""Java of a pom.xml: Maven resolves the dependencies and makes the classes, in a copy of the source.

Where Lambda looks for classes and jars: https://docs.aws.amazon.com/lambda/latest/dg/java-package.html and
https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
"""

import filecmp
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lambdabuild.jvm import archives, classes, failures, maven, results
from lambdabuild.jvm.folders import Tree
from lambdabuild.jvm.folders import above as folders_above
from lambdabuild.jvm.maven import Pom
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
    Span,
    ToolFailed,
    ToolMissing,
    is_below,
)

COLLECT = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
LIST = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:list"
RUNTIME_SCOPE = ("-DincludeScope=runtime", "-Dmdep.prependGroupId=true")
WITHOUT_TESTS = ("-Dmaven.test.skip=true", "-DskipTests=true", "-DskipITs=true")
FIXED_TIME = "-Dproject.build.outputTimestamp=1980-01-01T00:00:02Z"
PLACES = ("JAVA_HOME", "MAVEN_HOME", "M2_HOME", "MAVEN_USER_HOME", "MVNW_USERNAME", "MVNW_PASSWORD")
"""Variables that name places on this machine, or hold credentials; they enter no fingerprint."""
NOT_SOURCE = frozenset({"target", ".git", ".idea", ".settings", ".vscode", ".venv", ".aws-sam", "node_modules"})
OTHER_JARS = ("-sources.jar", "-javadoc.jar", "-tests.jar", "-test-sources.jar")
QUICK = "-XX:TieredStopAtLevel=1"
"""A JVM that lives for seconds compiles itself lightly, which takes half the time. MAVEN_OPTS wins."""
NOISE = re.compile(
    r"\[Help|To see the full stack|Re-run Maven|For more information|After correcting|-> \[Help|mvn <args>"
)
AT = re.compile(r"(\S.*?\.\w+):\[(\d+),(\d+)\]")
KNOWN_FAILURES = (
    failures.old_jdk("the pom"),
    KnownFailure(
        r"No compiler is provided|running on a JRE",
        ToolMissing,
        "Maven found a JRE, which cannot compile",
        "install a JDK, or set JAVA_HOME to one",
    ),
    KnownFailure(r"COMPILATION ERROR", ToolFailed, "the source does not compile", "correct it there"),
    KnownFailure(
        r"There are test failures|There was a timeout or other error in the fork",
        ToolFailed,
        "tests fail",
        "correct them, or leave them out: tests = false",
    ),
    KnownFailure(
        r"in offline mode|has not been downloaded from it before",
        Offline,
        "Maven's local repository lacks something, and the run is offline",
        "run once without offline",
        only_offline=True,
    ),
    KnownFailure(
        r"Could not transfer|Unknown host|Connect(?:ion)? (?:to|refused|timed out)",
        DownloadFailed,
        "Maven could not fetch what it needs",
        "see that the repository can be reached, and try again",
    ),
    KnownFailure(
        r"Could not (?:find artifact|resolve)|Failure to find|Non-resolvable|was not found|No versions av",
        CannotResolve,
        "Maven found no set of packages for the pom",
        "correct the names and versions; Maven's words above say which do not fit",
    ),
    KnownFailure(
        r"Non-(?:parseable|readable) (?:POM|parent)|Malformed POM|problems were encountered while processing",
        BadManifest,
        "Maven cannot read the pom",
        "correct it there",
    ),
)
"""Kind of error, what Maven says then, and what we say; the first that fits."""


def resolve(job: Job) -> Result:
    """Fetch the jars of the runtime scope.

    A pom with siblings leaves that to compile, which builds the siblings first.
    """
    family = _family(job)
    if family.siblings:
        return Result(reads=_reads(job, family))
    tree = _copy(job, _poms_and_more(job, family))
    listing = os.path.join(job.scratch, "packages.txt")
    places = (f"-DoutputDirectory={job.out}", f"-DoutputFile={listing}")
    _maven(job, family, tree, COLLECT, LIST, *RUNTIME_SCOPE, *places)
    packages = _packages(listing)
    return Result(
        parts=(Folder(job.out, into="lib"),) if os.listdir(job.out) else (),
        reads=_reads(job, family),
        notes=(*results.that_may_change(packages, "the pom does"), *classes.too_new_jars(job)),
        facts={"packages": packages},
    )


def compile(job: Job) -> Result:
    """Classes for a function, jars for a layer, and the jars that resolve had to leave."""
    family = _family(job)
    _refuse_aggregator(job, family.own)
    tree = _copy(job, [*_poms_and_more(job, family), *_sources(job, family)])
    if family.start not in family.poms:
        Path(tree.twin(family.start.file)).write_text(family.start.text, encoding="utf-8")
    tests = () if job.target.options.get("tests") else WITHOUT_TESTS
    collect = (COLLECT, *RUNTIME_SCOPE) if family.siblings else ()
    _maven(job, family, tree, "package", *tests, FIXED_TIME, *collect)
    target = os.path.join(tree.twin(family.own.folder), "target")
    release = f"<maven.compiler.release>{classes.runtime(job)}</maven.compiler.release>"
    classes.refuse_too_new(job, os.path.join(target, "classes"), f"write {release} in the pom's properties")
    if family.siblings:
        made = [jar for folder in family.siblings for jar in _own_jars(os.path.join(tree.twin(folder), "target"))]
        _take_jars(job, _jars(os.path.join(target, "dependency")), made)
    if job.target.kind == "layer":
        _take_jars(job, _own_jars(target), _own_jars(target))
    else:
        classes.take(
            job,
            os.path.join(target, "classes"),
            missing="Maven left nothing in target/classes",
            help="put the source into src/main/java, and leave Maven's output folders as they are",
        )
    return Result(
        parts=results.parts(job),
        reads=_reads(job, family),
    )


# poms: which files Maven reads, and from where it starts


@dataclass(frozen=True)
class Family:
    """A pom and those it is built with."""

    own: Pom
    poms: tuple[Pom, ...]
    """All that Maven reads: the own, its parents, and every module when there are siblings."""
    siblings: frozenset[str]
    """Folders of the modules that it depends on."""
    start: Pom
    """The one that Maven starts with."""

    @property
    def folder(self) -> str:
        """The folder to look for Maven's settings in, and above: that of the first pom that is the user's."""
        return self.start.folder if self.start in self.poms else self.own.folder


def _family(job: Job) -> Family:
    """Return the own pom with its parents and siblings, and the layers of the service that it needs.

    Such a layer is in no repository: it is built along, by a pom of ours that has both as modules, so that nothing has
    to be installed on this machine.
    """
    family = _reactor(job, maven.read_pom(job, job.target.manifest))
    layers = list(_layers(job, family))
    if not layers:
        return family
    poms = {pom.file: pom for relative in (family, *layers) for pom in relative.poms}
    needed = {folder for layer in layers for folder in (layer.own.folder, *layer.siblings)}
    starts = dict.fromkeys(relative.start.file for relative in (family, *layers))
    return Family(family.own, tuple(poms.values()), family.siblings | needed, maven.aggregator(tuple(starts)))


def _layers(job: Job, family: Family) -> Iterator[Family]:
    """Yield the layers whose jar the poms name, and those that these layers need in turn."""
    known = [_reactor(job, maven.read_pom(job, file)) for file in _layer_poms(job) if os.path.isfile(file)]
    waiting, seen = [family], {pom.file for pom in family.poms}
    while waiting:
        named = frozenset[str]().union(*(pom.coordinates for pom in waiting.pop().poms))
        for layer in known:
            if layer.own.file not in seen and layer.own.coordinate in named:
                seen.add(layer.own.file)
                waiting.append(layer)
                yield layer


def _layer_poms(job: Job) -> list[str]:
    folders = (os.path.join(job.target.project, folder) for folder in job.target.options.get("layers", ()))
    return [os.path.normpath(os.path.join(folder, "pom.xml")) for folder in folders]


def _reactor(job: Job, own: Pom) -> Family:
    """Return a pom with its parents, and the modules that it needs of a pom above that has it as a module."""
    parents = tuple(maven.parents(job, own))
    for top in _aggregators(job, own, parents):
        modules = tuple(maven.modules(job, top))
        siblings = _siblings(job, own, modules)
        if own.file in {pom.file for pom in modules}:
            maven.check_modules(job, [own, *parents, *(pom for pom in modules if pom.folder in siblings)], modules)
        if own.file in {pom.file for pom in modules} and siblings:
            poms = {pom.file: pom for pom in (own, *parents, *modules)}
            for pom in modules:
                poms |= {parent.file: parent for parent in maven.parents(job, pom)}
            return Family(own, tuple(poms.values()), siblings, top)
    return Family(own, (own, *parents), frozenset(), own)


def _aggregators(job: Job, own: Pom, parents: tuple[Pom, ...]) -> list[Pom]:
    """Poms that may have the own one as a module, the outermost first."""
    poms = {pom.file: pom for pom in parents}
    for folder in folders_above(job, own.folder)[1:]:
        file = os.path.join(folder, "pom.xml")
        if file not in poms and os.path.isfile(file):
            poms[file] = maven.read_pom(job, file)
    return sorted((pom for pom in poms.values() if pom.modules), key=lambda pom: len(pom.folder))


def _siblings(job: Job, own: Pom, modules: tuple[Pom, ...]) -> frozenset[str]:
    """Folders of the modules that a pom, its parents or these modules themselves name as dependencies."""
    known = {pom.artifact: pom for pom in modules}
    needed: dict[str, Pom] = {}
    open_ends = [own]
    while open_ends:
        pom = open_ends.pop()
        named = pom.dependencies.union(*(parent.dependencies for parent in maven.parents(job, pom)))
        new = {name: known[name] for name in sorted(named & known.keys() - needed.keys() - {own.artifact})}
        needed |= new
        open_ends += new.values()
    return frozenset(pom.folder for pom in needed.values())


def _refuse_aggregator(job: Job, own: Pom) -> None:
    if own.packaging == "pom" and (own.modules or job.target.kind == "function"):
        raise BadManifest(
            f"{job.who}: this pom.xml has the packaging 'pom', so nothing is made from it",
            where=job.place(own.file),
            help="name the folder of one of its modules as the code folder"
            if own.modules
            else "take the packaging out",
        )


# files: a copy that lies as the originals do


def _copy(job: Job, files: list[str]) -> Tree:
    top = os.path.commonpath([os.path.dirname(job.target.manifest), *(os.path.dirname(file) for file in files)])
    tree = Tree(top, os.path.join(job.scratch, "tree", os.path.basename(top)))
    tree.add(files)
    return tree


def _poms_and_more(job: Job, family: Family) -> list[str]:
    """Return all that Maven reads before it comes to the source."""
    named = [file for pom in family.poms for path in _named(pom) for file in _files_below(path)]
    settings = [file for path in _settings(job, family) for file in _files_below(path)]
    return [*(pom.file for pom in family.poms), *named, *settings]


def _named(pom: Pom) -> Iterator[str]:
    """Yield files and folders that a pom names relative to itself, such as a repository of jars, except source."""
    for path in re.findall(r"\$\{(?:project\.)?basedir\}/+([^<>\s\"'$]+)", pom.text):
        place = os.path.normpath(os.path.join(pom.folder, path))
        is_source = path.split("/")[0] in ("src", "target") or is_below(pom.folder, place)
        if os.path.exists(place) and not is_source:
            yield place


def _settings(job: Job, family: Family) -> list[str]:
    """Return the nearest ``.mvn`` folder, the nearest wrapper, and the folder that this wrapper reads."""
    paths = [_nearest(job, family, ".mvn"), _nearest(job, family, "mvnw")]
    paths.append(os.path.join(os.path.dirname(paths[1]), ".mvn", "wrapper") if paths[1] else "")
    return [path for path in paths if os.path.exists(path)]


def _nearest(job: Job, family: Family, name: str) -> str:
    """Return a file or folder of that name where Maven starts or above, "" when there is none."""
    paths = (os.path.join(folder, name) for folder in folders_above(job, family.folder))
    return next(filter(os.path.exists, paths), "")


def _sources(job: Job, family: Family) -> Iterator[str]:
    """Yield the files of the own module and its siblings; of the code folder only what the project lets in."""
    yield from (os.path.join(job.target.source, name) for name in job.files)
    for folder in sorted({family.own.folder, *family.siblings}):
        yield from (file for file in _files_below(folder, job.scratch) if not is_below(file, job.target.source))


def _files_below(path: str, scratch: str = "") -> Iterator[str]:
    """Yield a file itself, or the files of a folder, without what was made there and what belongs to other modules."""
    if os.path.isfile(path):
        yield path
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if _is_source(parent, name, scratch))
        yield from (os.path.join(parent, name) for name in sorted(names) if os.path.isfile(os.path.join(parent, name)))


def _is_source(parent: str, name: str, scratch: str) -> bool:
    path = os.path.join(parent, name)
    is_made = name in NOT_SOURCE and (name != "target" or os.path.exists(os.path.join(parent, "pom.xml")))
    return not (is_made or is_below(scratch, path) or os.path.exists(os.path.join(path, "pom.xml")))


def _reads(job: Job, family: Family) -> tuple[str, ...]:
    """Return what is read besides the manifest and the code folder. A missing parent counts as absent."""
    files = {pom.file for pom in family.poms} | {pom.parent for pom in family.poms if pom.parent}
    files |= {path for pom in family.poms for path in _named(pom)} | set(_settings(job, family)) | {*_layer_poms(job)}
    files |= {os.path.join(os.environ[name], "release") for name in ("JAVA_HOME",) if name in os.environ}
    if job.step == "compile":
        for folder in {family.own.folder, *family.siblings}:
            names = (name for name in ("src", *os.listdir(folder)) if _is_source(folder, name, job.scratch))
            files |= {os.path.join(folder, name) for name in names}
        files = {path for path in files if not is_below(path, job.target.source)}
    return tuple(sorted(files - {family.own.file}))


# Maven


def _maven(job: Job, family: Family, tree: Tree, *goals: str) -> None:
    """Run Maven for the own module, and first for those it depends on."""
    settings = _nearest(job, family, ".mvn")
    base = tree.twin(os.path.dirname(settings) if settings else family.folder)
    module = os.path.relpath(family.own.file, family.start.folder)
    command = [*_program(job, family, tree), "--batch-mode", "--no-transfer-progress", "-Dstyle.color=never"]
    command += ["--file", os.path.basename(family.start.file)]
    command += ["--projects", module, "--also-make"] if family.siblings else ["--non-recursive"]
    # Else Maven does not ask again for a day after a download failed.
    command += ["--offline"] if job.offline else ["--update-snapshots"] if job.step == "resolve" else []
    try:
        environment = _variables() | {"MAVEN_BASEDIR": base}
        job.run([*command, *goals], cwd=tree.twin(family.start.folder), extra_environment=environment)
    except ToolFailed as error:
        raise _explain(job, tree, error) from error


def _program(job: Job, family: Family, tree: Tree) -> list[str]:
    wrapper = _nearest(job, family, "mvnw")
    return ["sh", tree.twin(wrapper)] if wrapper else [job.tool("mvn", "install Maven and a JDK")]


def _variables() -> dict[str, str]:
    """Return variables with paths, and those that Maven's settings name, such as a repository's password."""
    names = {*PLACES, "MAVEN_OPTS"}
    settings = os.path.expanduser("~/.m2/settings.xml")
    if os.path.isfile(settings):
        with open(settings, encoding="utf-8", errors="replace") as stream:
            names |= set(re.findall(r"\$\{env\.(\w+)\}", stream.read()))
    return {"MAVEN_OPTS": QUICK} | {name: os.environ[name] for name in sorted(names) if name in os.environ}


def _packages(listing: str) -> list[dict[str, str]]:
    """``group:artifact[:type[:classifier]]:version:scope`` of each line, as name and version."""
    with open(listing, encoding="utf-8") as stream:
        lines = [line.split()[0].split(":") for line in stream if line.startswith("   ") and line.count(":") >= 4]
    pairs = {(f"{parts[0]}:{parts[1]}", parts[-2]) for parts in lines}
    return [{"name": name, "version": version} for name, version in sorted(pairs)]


# what Maven made, as it ships


def _jars(folder: str) -> list[str]:
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith(".jar")]


def _own_jars(target: str) -> list[str]:
    """Return the jars that a module was packaged as; the shade plugin keeps the earlier jar as ``original-*``."""
    names = (os.path.basename(jar) for jar in _jars(target))
    return [os.path.join(target, n) for n in names if not n.endswith(OTHER_JARS) and not n.startswith("original-")]


def _take_jars(job: Job, jars: Iterable[str], made_here: list[str]) -> None:
    """Copy jars as they are, but those that Maven made just now without dates and traces of this machine."""
    os.makedirs(os.path.join(job.out, "lib"), exist_ok=True)
    for jar in jars:
        target = os.path.join(job.out, "lib", os.path.basename(jar))
        if any(filecmp.cmp(jar, made, shallow=False) for made in made_here):
            archives.write(target, archives.of_jar(jar))
        else:
            shutil.copy(jar, target)


# Maven's words


def _explain(job: Job, tree: Tree, error: ToolFailed) -> LambdaBuildError:
    """Return what Maven's failure means. It prints errors on stdout, among much else, and names files of the copy."""
    output = error.output.replace(tree.copy + os.sep, "")
    lines = [m[1].strip() for m in re.finditer(r"(?m)^(?:\[(?:ERROR|FATAL)\] ?)+(.*)$", output)]
    lines = [line.split(" -> [Help")[0] for line in dict.fromkeys(lines) if line and not NOISE.match(line)]
    matches = [match for line in lines if (match := AT.match(line))]
    places = dict.fromkeys((os.path.join(tree.top, m[1].lstrip("/")), int(m[2]), int(m[3])) for m in matches)
    where = [job.place(*place) for place in places] or [_place_in_pom(job, lines)]
    return failures.explain(job, error, KNOWN_FAILURES, output, lines, where)


def _place_in_pom(job: Job, lines: list[str]) -> Span:
    match = re.search(r"@ line (\d+), column (\d+)", "\n".join(lines))
    return (
        job.place(job.target.manifest, *(int(number) for number in match.groups()))
        if match
        else job.place(job.target.manifest)
    )
