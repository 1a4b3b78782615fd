"""Java of a build.gradle: Gradle resolves the dependencies and makes the classes, in a copy of the source.

Where Lambda looks for classes and jars: https://docs.aws.amazon.com/lambda/latest/dg/java-package.html and
https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lambdabuild.jvm import archives, classes, failures, results
from lambdabuild.jvm.folders import Tree
from lambdabuild.jvm.folders import above as folders_above
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

COLLECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "collect.gradle")
SETTINGS = ("settings.gradle", "settings.gradle.kts")
SCRIPTS = ("*.gradle", "*.gradle.kts")
BUILD_FILES = (*SCRIPTS, "gradle.properties", "*.lockfile", "*.versions.toml", "gradlew", "*.jar", "*.pom", "*.module")
"""Files that Gradle reads before the source, anywhere in a build; jars may be local dependencies."""
BUILD_FOLDERS = frozenset({"gradle", "buildSrc"})
"""Folders of which all is read before the source."""
NOT_SOURCE = frozenset({
    ".gradle", ".kotlin", ".git", ".idea", ".settings", ".vscode", ".venv", ".aws-sam", "node_modules",
})  # fmt: skip
PLACES = ("JAVA_HOME", "GRADLE_USER_HOME", "GRADLE_HOME")
"""Variables that name places on this machine; they enter no fingerprint."""
QUICK = "-XX:TieredStopAtLevel=1"
"""A JVM that lives for seconds compiles itself lightly, which takes half the time. GRADLE_OPTS wins."""
KNOWN_FAILURES = (
    KnownFailure(
        r"lambdabuild: no project",
        BadManifest,
        "no project of the Gradle build has this folder",
        "include it in the settings.gradle above, or put a settings.gradle of its own next to its build.gradle",
    ),
    KnownFailure(
        r"lambdabuild: project .* would be",
        BadManifest,
        "Gradle would take a repository's module for a project of the build, whose version is lower",
        "let projects win: configurations.all {{ resolutionStrategy.preferProjectModules() }}, or raise the version",
    ),
    KnownFailure(r"lambdabuild: no java", BadManifest, "the Gradle project makes no Java", "apply the plugin java"),
    failures.old_jdk("the build"),
    KnownFailure(
        r"Unsupported class file major version|Could not determine java version|incompatible with the Java",
        ToolMissing,
        "Gradle is too old for the JDK",
        "set JAVA_HOME to an older JDK, or let a gradlew bring a newer Gradle",
    ),
    KnownFailure(
        r"does not provide the required capabilities|Could not find tools\.jar|JAVA_COMPILER",
        ToolMissing,
        "Gradle found a JRE, which cannot compile",
        "install a JDK, or set JAVA_HOME to one",
    ),
    KnownFailure(r"Compilation (?:failed|error)", ToolFailed, "the source does not compile", "correct it there"),
    KnownFailure(
        r"There were failing tests", ToolFailed, "tests fail", "correct them, or leave them out: tests = false"
    ),
    KnownFailure(
        r"available for offline mode|offline mode",
        Offline,
        "Gradle's cache lacks something, and the run is offline",
        "run once without offline",
        only_offline=True,
    ),
    KnownFailure(
        r"Could not (?:GET|HEAD)|UnknownHost|Connect(?:ion)? (?:to|refused|timed out)",
        DownloadFailed,
        "Gradle could not fetch what it needs",
        "see that the repository can be reached, and try again",
    ),
    KnownFailure(
        r"Could not compile|A problem occurred evaluating|[Pp]lugin (?:with id|\[id)",
        BadManifest,
        "Gradle cannot read the build",
        "correct it there",
    ),
    KnownFailure(
        r"Could not (?:find|resolve)|Cannot resolve|lock state",
        CannotResolve,
        "Gradle found no set of packages for the build",
        "correct the names and versions; Gradle's words above say which do not fit",
    ),
)
"""Kind of error, what Gradle says then, and what we say; the first that fits."""
NOISE = re.compile(
    r"^\* Try:.*?(?=^\* |\Z)|^(?:FAILURE: |BUILD FAILED|\* Get more|={5}|openjdk version|OpenJDK )[^\n]*$"
    r"|^\* Where:\nInitialization script[^\n]*$",
    re.MULTILINE | re.DOTALL,
)
"""Output of Gradle with every failure, and of Debian's Gradle in every run."""
AT = (
    re.compile(r"(?m)^(?P<file>/.+?\.\w+):(?P<line>\d+): error:"),
    re.compile(r"(?m)^e: (?:file://)?(?P<file>/.+?\.kts?):\s?\(?(?P<line>\d+)[:,]\s?(?P<column>\d+)"),
    re.compile(r"(?m)^\w+ file '(?P<file>/.+?)' line: (?P<line>\d+)"),
)
"""How javac, kotlinc and Gradle name a place."""


def resolve(job: Job) -> Result:
    """Fetch the jars of the runtime class path that come from repositories."""
    build = _build(job)
    tree = _copy(job, build, build.files)
    notes, facts = _gradle(job, build, tree, "lambdabuildResolve")
    fetched = os.path.join(job.scratch, "out", "fetched")
    if os.path.isdir(fetched):
        shutil.copytree(fetched, job.out, dirs_exist_ok=True)
    packages = [{"name": name, "version": version} for kind, name, version in sorted(facts) if kind == "package"]
    projects = {
        os.path.relpath(folder, os.path.realpath(tree.twin(build.start)))
        for kind, folder, _ in facts
        if kind == "project"
    }
    return Result(
        parts=(Folder(job.out, into="lib"),) if os.listdir(job.out) else (),
        reads=build.reads,
        notes=(*notes, *results.that_may_change(packages, "the build files do"), *classes.too_new_jars(job)),
        facts={"packages": packages, "projects": sorted(projects)},
    )


def compile(job: Job) -> Result:
    """Classes for a function, a jar for a layer, and the jars of sibling projects and of files."""
    build = _build(job)
    projects = _projects(job, build)
    sources = [os.path.join(job.target.source, name) for name in job.files]
    sources += _outside(job, (file for folder in projects for file in _files_of(folder, job.scratch)))
    tree = _copy(job, build, [*build.files, *sources])
    _, facts = _gradle(job, build, tree, "lambdabuildCompile")
    made = os.path.join(job.scratch, "out")
    release = f"tasks.withType(JavaCompile) {{ options.release = {classes.runtime(job)} }}"
    classes.refuse_too_new(job, os.path.join(made, "classes"), f"write {release} in the build file")
    _take_jars(job, made)
    if job.target.kind == "function":
        classes.take(
            job,
            os.path.join(made, "classes"),
            missing="Gradle made no classes",
            help="put the source into src/main/java, or name its folder in sourceSets",
        )
    elif os.path.isdir(os.path.join(made, "classes")):
        name = next("-".join(filter(None, words)) for kind, *words in facts if kind == "name")
        archives.write(os.path.join(job.out, "lib", f"{name}.jar"), archives.of_folder(os.path.join(made, "classes")))
    entries = (path for folder in projects for path in _entries(folder, job.scratch))
    return Result(
        parts=results.parts(job),
        reads=tuple(sorted({*_outside(job, entries), *_outside(job, build.reads)})),
    )


def _outside(job: Job, paths: Iterable[str]) -> list[str]:
    """Return the paths outside the code folder; of that folder the project decides what may enter."""
    return [path for path in paths if not is_below(path, job.target.source)]


# the build: which files Gradle reads, and from where it starts


@dataclass(frozen=True)
class Build:
    start: str
    """The folder with the settings, or the project's own when there are none."""
    folders: tuple[str, ...]
    """Every folder that may be a project's; Gradle wants those to be there."""
    files: tuple[str, ...]
    reads: tuple[str, ...]
    wrapper: str


def _build(job: Job) -> Build:
    above = folders_above(job, os.path.dirname(job.target.manifest))
    start = next((folder for folder in above if _has(folder, SETTINGS)), above[0])
    wrapper = next((path for folder in above if os.path.isfile(path := os.path.join(folder, "gradlew"))), "")
    folders: list[str] = []
    files = {wrapper} - {""}
    whole = {os.path.join(os.path.dirname(wrapper), "gradle")} if wrapper else set()
    for parent, children, names in os.walk(start):
        whole |= {os.path.join(parent, name) for name in BUILD_FOLDERS.intersection(children)}
        children[:] = sorted(name for name in children if _may_hold_projects(job, parent, name, names))
        folders.append(parent)
        files |= {os.path.join(parent, name) for name in names if _fits(name, BUILD_FILES)}
    for path in _all_named(start, sorted(path for path in files if _fits(path, SCRIPTS))):
        (whole if os.path.isdir(path) else files).add(path)
    return Build(
        start=start,
        folders=tuple(folders),
        files=tuple(sorted(files.union(*(_files_of(folder, job.scratch, whole=True) for folder in whole)))),
        reads=tuple(sorted((files - {job.target.manifest}).union(_jdk(), *(_entries(f, whole=True) for f in whole)))),
        wrapper=wrapper,
    )


def _projects(job: Job, build: Build) -> list[str]:
    """Return the folders of the own project and of those it depends on, as resolve found them."""
    facts = job.earlier["resolve"].facts if "resolve" in job.earlier else {}
    own = os.path.relpath(os.path.dirname(job.target.manifest), build.start)
    return [os.path.normpath(os.path.join(build.start, name)) for name in facts.get("projects", [own])]


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _has(folder: str, patterns: tuple[str, ...]) -> bool:
    return os.path.isdir(folder) and any(_fits(name, patterns) for name in os.listdir(folder))


def _may_hold_projects(job: Job, parent: str, name: str, beside: list[str]) -> bool:
    path = os.path.join(parent, name)
    is_made = name == "build" and any(_fits(file, SCRIPTS) for file in beside)
    is_source = os.path.basename(parent) == "src" and _has(path, ("java", "kotlin", "groovy", "scala", "resources"))
    return name not in NOT_SOURCE | BUILD_FOLDERS and not (is_made or is_source or is_below(job.scratch, path))


def _all_named(start: str, scripts: Iterable[str]) -> Iterator[str]:
    """Yield what scripts name, and what the scripts in there name in turn: an included build may include another."""
    waiting, seen = list(scripts), set[str]()
    while waiting:
        for path in sorted(set(_named(start, waiting.pop())) - seen):
            seen.add(path)
            yield path
            beside = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else [path]
            waiting += [file for file in beside if _fits(file, SCRIPTS) and os.path.isfile(file)]


def _named(start: str, script: str) -> Iterator[str]:
    """Files, folders without source, and included builds that a script names, from its own folder or the build's."""
    with open(script, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    folder = os.path.dirname(script)
    included = set(re.findall(r"""includeBuild\s*\(?\s*["']([^"'\n]+)["']""", text))
    for name in set(re.findall(r"""["'](?:\$\{?\w+\}?/)?([^"'$:\n]+)["']""", text)):
        for path in (os.path.normpath(os.path.join(base, name)) for base in (folder, start)):
            is_source = os.path.isdir(path) and ("src" in name.split("/") or _has(path, (*SCRIPTS, "src")))
            is_other = is_source and name not in included
            if os.path.exists(path) and not is_other and not is_below(folder, path) and not is_below(start, path):
                yield path


def _jdk() -> set[str]:
    return {os.path.join(os.environ["JAVA_HOME"], "release")} if "JAVA_HOME" in os.environ else set()


# files: a copy that lies as the originals do


def _copy(job: Job, build: Build, files: Sequence[str]) -> Tree:
    """Copy the build. Folders keep their names, because a project without a name has that of its folder."""
    top = os.path.commonpath([build.start, *(os.path.dirname(file) for file in files)])
    tree = Tree(top, os.path.join(os.path.realpath(job.scratch), "tree", os.path.basename(top)))
    for folder in build.folders:
        os.makedirs(tree.twin(folder), exist_ok=True)
    tree.add(files)
    if not _has(tree.twin(build.start), SETTINGS):
        # Gradle would look for settings further and further up.
        Path(tree.twin(build.start), "settings.gradle").touch()
    return tree


def _files_of(folder: str, scratch: str = "", whole: bool = False) -> Iterator[str]:
    """Yield the files of a project, without what was made there, and unless ``whole`` those of inner projects."""
    for parent, children, names in os.walk(folder):
        children[:] = sorted(name for name in children if _is_source(parent, name, scratch, whole))
        yield from (os.path.join(parent, name) for name in sorted(names) if os.path.isfile(os.path.join(parent, name)))


def _entries(folder: str, scratch: str = "", whole: bool = False) -> Iterator[str]:
    """Yield the source directly in a folder, and ``src`` even if it is missing."""
    names = {"src", *(os.listdir(folder) if os.path.isdir(folder) else ())}
    yield from (os.path.join(folder, name) for name in names if _is_source(folder, name, scratch, whole))


def _is_source(parent: str, name: str, scratch: str, whole: bool) -> bool:
    path = os.path.join(parent, name)
    is_made = name == "build" and _has(parent, SCRIPTS)
    is_project = not whole and name not in BUILD_FOLDERS and _has(path, ("build.gradle", "build.gradle.kts"))
    return name not in NOT_SOURCE and not (is_made or is_project or is_below(scratch, path))


# Gradle


def _gradle(job: Job, build: Build, tree: Tree, task: str) -> tuple[tuple[str, ...], list[tuple[str, str, str]]]:
    """Run one task of collect.gradle, which leaves files in ``out`` of the scratch folder; gives notes and facts."""
    program, notes = _program(job, build, tree)
    out = os.path.join(job.scratch, "out")
    given = {
        "out": out,
        "source": _twin_or(tree, job.target.source),
        "manifest": tree.twin(os.path.dirname(job.target.manifest)),
    }
    command = [*program, "--no-daemon", "--console=plain", "--quiet", "--init-script", COLLECT]
    command += ["-Dorg.gradle.configureondemand=false", "-Dorg.gradle.configuration-cache=false"]
    command += ["-Dorg.gradle.unsafe.isolated-projects=false", "-Pkotlin.compiler.execution.strategy=in-process"]
    command += [f"-Dlambdabuild.{name}={value}" for name, value in given.items()]
    command += ["-Dlambdabuild.tests=yes"] if task == "lambdabuildCompile" and job.target.options.get("tests") else []
    command += ["--offline"] if job.offline else []
    try:
        job.run([*command, task], cwd=tree.twin(build.start), extra_environment=_variables())
    except ToolFailed as error:
        raise _explain(job, tree, error) from error
    try:
        with open(os.path.join(out, "facts"), encoding="utf-8") as stream:
            lines = [(*line.rstrip("\n").split("\t"), "", "")[:3] for line in stream]
    except FileNotFoundError:
        lines = []
    return notes, [(kind, name, more) for kind, name, more in dict.fromkeys(lines)]


def _variables() -> dict[str, str]:
    return {"GRADLE_OPTS": QUICK} | {name: os.environ[name] for name in (*PLACES, "GRADLE_OPTS") if name in os.environ}


def _program(job: Job, build: Build, tree: Tree) -> tuple[list[str], tuple[str, ...]]:
    """Return the project's wrapper, or the machine's Gradle when the wrapper cannot get its own."""
    help = "install Gradle and a JDK, or add a wrapper to the project: gradle wrapper"
    if not build.wrapper:
        return [job.tool("gradle", help)], ()
    wrapper, reason = ["sh", tree.twin(build.wrapper)], "the run is offline"
    if _has_distribution(build.wrapper):
        return wrapper, ()
    if not job.offline:
        folder = os.path.dirname(wrapper[1])
        try:
            job.run([*wrapper, "--version"], cwd=folder, extra_environment=_variables())
            return wrapper, ()
        except ToolFailed as error:
            reason = error.tail
    try:
        machines = job.tool("gradle")
    except ToolMissing as error:
        kind = Offline if job.offline else DownloadFailed
        raise kind(
            f"{job.who}: gradlew cannot get the Gradle it wants, and there is no other",
            where=job.place(build.wrapper),
            tail=reason,
            help="see that its distributionUrl can be reached, or install Gradle",
        ) from error
    return [machines], ("gradlew cannot get the Gradle it wants: the one on PATH is used",)


def _has_distribution(wrapper: str) -> bool:
    """Return whether the Gradle that the wrapper wants has been unpacked before."""
    properties = os.path.join(os.path.dirname(wrapper), "gradle/wrapper/gradle-wrapper.properties")
    if not os.path.isfile(properties):
        return False
    with open(properties, encoding="utf-8", errors="replace") as stream:
        match = re.search(r"(?m)^\s*distributionUrl\s*=.*/(.+)\.zip\s*$", stream.read())
    home = os.environ.get("GRADLE_USER_HOME") or os.path.expanduser("~/.gradle")
    return match is not None and any(Path(home, "wrapper/dists", match[1]).glob("*/*/bin/gradle"))


# what Gradle made, as it ships


def _take_jars(job: Job, made: str) -> None:
    """The jars that Gradle made of sibling projects, written again, and those that are files of the user's."""
    for jar in sorted(Path(made, "made").glob("*.jar")):
        archives.write(os.path.join(job.out, "lib", jar.name), archives.of_jar(str(jar)))
    if os.path.isdir(os.path.join(made, "local")):
        shutil.copytree(os.path.join(made, "local"), os.path.join(job.out, "lib"), dirs_exist_ok=True)


# Gradle's words


def _explain(job: Job, tree: Tree, error: ToolFailed) -> LambdaBuildError:
    """Return what Gradle's failure means: it names places in the copy, and prints much that is no help."""
    output = NOISE.sub("", error.output)
    places = [_place(job, tree, match) for pattern in AT for match in pattern.finditer(output)]
    lines = [line for line in output.replace(tree.copy + os.sep, "").splitlines() if line.strip()]
    return failures.explain(job, error, KNOWN_FAILURES, output, lines, list(dict.fromkeys(places)))


def _place(job: Job, tree: Tree, match: re.Match[str]) -> Span:
    original = os.path.normpath(os.path.join(tree.top, os.path.relpath(match["file"], tree.copy)))
    return job.place(original, int(match["line"]), int(match.groupdict().get("column") or 1))


def _twin_or(tree: Tree, source: str) -> str:
    """Return the code folder's twin; one that is not in the copy is no project."""
    return tree.twin(source) if is_below(source, tree.top) else tree.copy
