""".NET projects, published by the dotnet command for the function's runtime and processor.

What is run: https://learn.microsoft.com/dotnet/core/tools/dotnet-publish, with the properties that Lambda's runtime
needs to find its way, https://docs.aws.amazon.com/lambda/latest/dg/csharp-package-cli.html
"""

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lambdabuild.rule_api import (
    BadManifest,
    BadSource,
    CannotResolve,
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
    is_below,
    syntax_error,
    write_file,
)

MACHINES = {"x86_64": "linux-x64", "arm64": "linux-arm64"}
LOCK = "packages.lock.json"
PROPERTIES = ("Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props")
FROM_ABOVE = (*PROPERTIES, "Directory.Build.rsp", "global.json", "NuGet.config", "nuget.config", "NuGet.Config")
"""Files that MSBuild, NuGet and the SDK look for in a project's folder and in every folder above it."""
MSBUILD_FILE = re.compile(r"\.(csproj|fsproj|vbproj|shproj|proj|projitems|props|targets)$")
NOT_SOURCE = shutil.ignore_patterns("bin", "obj", ".git", ".vs", "node_modules")
OWN_FOLDER = re.compile(r"\$\((MSBuildThisFileDirectory|MSBuildProjectDirectory|ProjectDir)\)[\\/]?")
VARIABLE = re.compile(r"%(\w+)%")
"""How a NuGet.config names a variable: https://learn.microsoft.com/nuget/reference/nuget-config-file"""
OF_THE_MACHINE = (
    "DOTNET_ROOT", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "NUGET_PACKAGES", "NUGET_HTTP_CACHE_PATH",
    "NUGET_PLUGIN_PATHS", "VSS_NUGET_EXTERNAL_FEED_ENDPOINTS",
)  # fmt: skip
"""Variables that say where dotnet and its downloads are and who may fetch them, which changes no result."""
CREDENTIALS = "NuGetPackageSourceCredentials_"
QUIET = {
    "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_NOLOGO": "1", "DOTNET_SKIP_FIRST_TIME_EXPERIENCE": "1",
    "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false", "DOTNET_ADD_GLOBAL_TOOLS_TO_PATH": "false",
    "DOTNET_CLI_UI_LANGUAGE": "en", "DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE": "true",
    "MSBUILDDISABLENODEREUSE": "1", "MSBUILDTERMINALLOGGER": "off",
}  # fmt: skip
"""https://learn.microsoft.com/dotnet/core/tools/dotnet-environment-variables; no server is left behind."""
ERROR = re.compile(r"^\s*(?P<file>[^\n(]*?)(?:\((?P<line>\d+),(?P<column>\d+)\S*\))?\s*: error (?P<code>[A-Z]+\d+)\s*:")
FRAMEWORK = re.compile(r"<TargetFrameworks?\b[^>]*>([^<]*)<")
KNOWN_FAILURES = (
    KnownFailure(
        "^NU1004$",
        BadManifest,
        f"{LOCK} does not fit the project",
        "write <RuntimeIdentifiers>linux-x64;linux-arm64</RuntimeIdentifiers> in the project, "
        "then: dotnet restore --force-evaluate",
    ),
    KnownFailure(
        "^NU1",
        Offline,
        "NuGet's cache has not all packages, and the run is offline",
        "run once without offline",
        only_offline=True,
    ),
    KnownFailure(
        "^NU1",
        CannotResolve,
        "NuGet found no set of packages for the project",
        "correct the names and versions; NuGet's words above say which do not fit",
    ),
    KnownFailure(
        "^NETSDK1(?:045|141)$",
        ToolMissing,
        "the .NET SDK here is not the one the project needs",
        "install the SDK named above",
    ),
    KnownFailure("^MSB4", BadManifest, "MSBuild cannot read the project", "correct it there"),
    KnownFailure(r"^(?:CS|FS|BC)\d", BadSource, "the source does not compile", "correct it there"),
)
"""By the code of the first error: https://learn.microsoft.com/nuget/reference/errors-and-warnings and
https://learn.microsoft.com/dotnet/core/tools/sdk-errors"""
PARAMETERS = "--msbuild-parameters"
ELF, SCRIPT = b"\x7fELF", b"#!"


@dataclass(frozen=True)
class Layout:
    """The files that a project needs besides its own source, and the paths of their copies."""

    projects: tuple[str, ...]
    """The manifest first, then the projects and MSBuild files that it names."""
    above: tuple[str, ...]
    """Files that the SDK finds in the folders above a project."""
    outside: tuple[str, ...]
    """Other files and folders that projects name by a path."""
    feeds: tuple[str, ...]
    """Folders of packages that a NuGet.config names."""
    top: str
    tree: str
    code: str
    """The folder of all that is compiled; assemblies know it as /src."""

    def at(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.tree, os.path.relpath(path, self.top)))

    @property
    def files(self) -> tuple[str, ...]:
        locks = (os.path.join(os.path.dirname(project), LOCK) for project in self.projects)
        return tuple(sorted({*self.projects, *self.above, *filter(os.path.exists, locks)}))


def resolve(job: Job) -> Result:
    """Fetch the packages into NuGet's own cache, as the lock file says when there is one."""
    layout = _layout(job)
    _check_framework(job)
    _copy_files(layout)
    command = ["restore", layout.at(job.target.manifest), "--runtime", MACHINES[job.target.architecture]]
    _dotnet(job, layout, [*command, *_locked(job, "--locked-mode"), *_sources(job)])
    return Result(reads=_others(job, layout), facts={"packages": _packages(layout.at(job.target.manifest))})


def compile(job: Job) -> Result:
    """``dotnet publish`` in a copy of the source; what it puts out is the artifact."""
    layout = _layout(job)
    _copy_files(layout)
    _copy_outside(job, layout)
    for name in job.files:
        copy_file(os.path.join(job.target.source, name), layout.at(os.path.join(job.target.source, name)))
    _dotnet(job, layout, _publish(job, layout))
    _check_published(job)
    _set_modes(job.out)
    reads = {*_others(job, layout), *layout.outside, *_referenced(job, layout)}
    return Result(parts=(Folder(job.out),), reads=tuple(sorted(reads)))


# commands


def _publish(job: Job, layout: Layout) -> list[str]:
    options, debug = job.target.options, str(job.target.options.get("mode", "")).lower() == "debug"
    parameters = _parameters(job)
    command = ["publish", layout.at(job.target.manifest), "--output", job.out]
    command += ["--runtime", MACHINES[job.target.architecture]]
    command += [] if "--configuration" in options else ["--configuration", "Debug" if debug else "Release"]
    command += [] if "--framework" in options else _framework_wanted(job)
    command += _self_contained(job, layout, parameters)
    command += [f"-p:{name}={value}" for name, value in _properties(job, layout).items()]
    for name in sorted(set(options) - {"--source", PARAMETERS}):
        command += _given(name, options[name]) if name.startswith("-") else []
    return [*command, *parameters, *_sources(job), "-nodeReuse:false"]


def _properties(job: Job, layout: Layout) -> dict[str, str]:
    """Return the properties that Lambda needs, and those that keep folders, commits and times out of assemblies.

    Without the two about source control the SDK writes the commit of the repository round the build folder into them.
    """
    folder = layout.at(layout.code)
    for sign, escaped in (("%", "%25"), (";", "%3B"), (",", "%2C%2C"), ("=", "==")):
        folder = folder.replace(sign, escaped)
    return {
        "GenerateRuntimeConfigurationFiles": "true",
        "Deterministic": "true",
        "ContinuousIntegrationBuild": "true",
        "PathMap": f"{folder}=/src",
        "SuppressImplicitGitSourceLink": "true",
        "IncludeSourceRevisionInInformationalVersion": "false",
        "UseSharedCompilation": "false",
    } | ({"RestoreLockedMode": "true"} if _locked(job, "") else {})


def _locked(job: Job, flag: str) -> list[str]:
    return [flag] if os.path.exists(os.path.join(os.path.dirname(job.target.manifest), LOCK)) else []


def _parameters(job: Job) -> list[str]:
    """More arguments, from the options or from where Amazon.Lambda.Tools has them."""
    if PARAMETERS in job.target.options:
        return shlex.split(str(job.target.options[PARAMETERS]))
    file = os.path.join(os.path.dirname(job.target.manifest), "aws-lambda-tools-defaults.json")
    try:
        defaults = json.loads(_text(file)) if os.path.exists(file) else {}
    except json.JSONDecodeError as error:
        raise syntax_error(job, file, "JSON", error, error.lineno, error.colno) from error
    return shlex.split(str(defaults.get("msbuild-parameters", "")))


def _self_contained(job: Job, layout: Layout, parameters: list[str]) -> list[str]:
    """A managed runtime brings .NET, a custom one does not; native code is self-contained by itself."""
    if {"--self-contained", "--no-self-contained", "--sc"} & {*job.target.options, *parameters}:
        return []
    if any(_says(layout, name) for name in ("PublishAot", "SelfContained", "PublishSelfContained")):
        return []
    return ["--self-contained", "true" if job.target.runtime.startswith("provided") else "false"]


def _given(name: str, value: Any) -> list[str]:
    """Return an option of the user's: a list is an option several times, true is one without a value."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [word for item in values if item is not False for word in ([name] if item is True else [name, str(item)])]


def _sources(job: Job) -> list[str]:
    """Return the options for package sources. Offline it is an empty folder, so that only NuGet's cache counts."""
    if not job.offline:
        return _given("--source", job.target.options.get("--source", False))
    folder = os.path.join(job.scratch, "nothing")
    os.makedirs(folder, exist_ok=True)
    return ["--source", folder]


def _dotnet(job: Job, layout: Layout, arguments: list[str]) -> None:
    dotnet = job.tool("dotnet", "install the .NET SDK: https://dotnet.microsoft.com/download")
    names = {*OF_THE_MACHINE, *_variables(layout), *(name for name in os.environ if name.startswith(CREDENTIALS))}
    theirs = {name: os.environ[name] for name in sorted(names) if name in os.environ}
    folder = os.path.dirname(layout.at(job.target.manifest))
    try:
        job.run([dotnet, *arguments], cwd=folder, extra_environment=theirs | QUIET)
    except ToolFailed as error:
        raise _explain(job, layout, error) from error


def _variables(layout: Layout) -> Iterator[str]:
    """Yield the variables that NuGet.config files name, such as a feed's password."""
    user = os.path.expanduser("~/.nuget/NuGet/NuGet.Config")
    for file in (*layout.above, user):
        if os.path.basename(file).lower() == "nuget.config" and os.path.isfile(file):
            yield from VARIABLE.findall(_text(file))


# what a project is made of


def _layout(job: Job) -> Layout:
    """Follow the paths that projects name, and look above each of them as the SDK does."""
    projects, outside = [job.target.manifest], set()
    for file in projects:
        for path in _paths(job, file):
            if os.path.isfile(path) and MSBUILD_FILE.search(path):
                projects += [path] if path not in projects else []
            elif os.path.exists(path) and not is_below(path, job.target.source):
                outside.add(path)
    folders = list(map(os.path.dirname, projects))
    above = sorted({file for folder in folders for file in _above(folder)} - set(projects))
    feeds = sorted({feed for file in above for feed in _feeds(job, file)})
    code = os.path.commonpath([job.target.source, *folders, *map(os.path.dirname, outside)])
    return Layout(
        projects=tuple(projects),
        above=tuple(above),
        outside=tuple(sorted(outside)),
        feeds=tuple(feeds),
        top=os.path.commonpath([code, *map(os.path.dirname, [*above, *feeds])]),
        tree=os.path.realpath(os.path.join(job.scratch, "tree")),
        code=code,
    )


def _paths(job: Job, file: str) -> Iterator[str]:
    """Yield the paths in a project or an imported file; those with other variables are left to MSBuild."""
    for element in _parsed(job, file).iter():
        names = [element.get(name, "") for name in ("Include", "Project", "Update")]
        names += [element.text or ""] if element.tag.rpartition("}")[2] == "HintPath" else []
        for text in (part.strip() for name in names for part in name.split(";")):
            plain = OWN_FOLDER.sub("", text).replace("\\", "/").partition("*")[0]
            if ("/" in plain or MSBUILD_FILE.search(plain)) and "$(" not in plain and not os.path.isabs(plain):
                yield os.path.normpath(os.path.join(os.path.dirname(file), plain))


def _feeds(job: Job, file: str) -> Iterator[str]:
    if os.path.basename(file).lower() == "nuget.config":
        for element in _parsed(job, file).iter("add"):
            value = element.get("value", "").replace("\\", "/")
            path = os.path.normpath(os.path.join(os.path.dirname(file), value))
            if value and not os.path.isabs(value) and os.path.isdir(path):
                yield path


def _parsed(job: Job, file: str) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        line, column = error.position
        raise syntax_error(job, file, "XML", error, line, column + 1) from error


def _above(folder: str) -> Iterator[str]:
    for parent in (Path(folder), *Path(folder).parents):
        yield from (str(parent / name) for name in FROM_ABOVE if (parent / name).is_file())


def _copy_files(layout: Layout) -> None:
    """The copies are below the project, whose own files of these names would be found a second time."""
    for name in PROPERTIES:
        write_file(os.path.join(os.path.dirname(layout.tree), name), "<Project />\n")
    for file in layout.files:
        copy_file(file, layout.at(file))
    for feed in layout.feeds:
        shutil.copytree(feed, layout.at(feed), dirs_exist_ok=True)


def _copy_outside(job: Job, layout: Layout) -> None:
    for path in (*_referenced(job, layout), *layout.outside):
        if os.path.isdir(path):
            shutil.copytree(path, layout.at(path), ignore=NOT_SOURCE, dirs_exist_ok=True)
        else:
            copy_file(path, layout.at(path))


def _referenced(job: Job, layout: Layout) -> tuple[str, ...]:
    """Return the folders of the projects that the manifest's needs, apart from those in the source."""
    folders = {os.path.dirname(project) for project in layout.projects[1:] if project.endswith("proj")}
    return tuple(sorted(folder for folder in folders if not is_below(folder, job.target.source)))


def _others(job: Job, layout: Layout) -> tuple[str, ...]:
    """Return what was read besides the manifest and its neighbours, which count anyway.

    Files that the SDK would find above, if they came to be, are among them.
    """
    folder = os.path.dirname(job.target.manifest)
    read = [file for file in layout.files if os.path.dirname(file) != folder or file in layout.projects[1:]]
    while is_below(os.path.dirname(folder), job.target.checkout or job.target.project) and folder != os.sep:
        folder = os.path.dirname(folder)
        read += [os.path.join(folder, name) for name in FROM_ABOVE]
    return tuple(sorted({*read, *layout.feeds}))


def _packages(project: str) -> list[dict[str, str]]:
    """Names and versions from what NuGet wrote about the restore."""
    assets = os.path.join(os.path.dirname(project), "obj/project.assets.json")
    if not os.path.exists(assets):
        return []
    libraries: Mapping[str, Any] = json.loads(_text(assets)).get("libraries", {})
    pairs = (name.partition("/") for name, about in libraries.items() if about.get("type") == "package")
    return [{"name": name, "version": version} for name, _, version in sorted(pairs)]


# the framework is the runtime's


def _wanted(job: Job) -> str:
    """``dotnet8`` is net8.0, ``dotnetcore3.1`` was netcoreapp3.1; a custom runtime takes any."""
    match = re.fullmatch(r"dotnet(core)?([\d.]+)", job.target.runtime)
    if not match:
        return ""
    return f"netcoreapp{match[2]}" if match[1] else f"net{match[2]}{'' if '.' in match[2] else '.0'}"


def _frameworks(text: str) -> list[str]:
    return [name.strip() for value in FRAMEWORK.findall(text) for name in value.split(";") if name.strip()]


def _check_framework(job: Job) -> None:
    """Of the manifest's own words; what it leaves to other files is seen in what was published."""
    text, wanted = _uncommented(job.target.manifest), _wanted(job)
    named = _frameworks(text)
    if not wanted or not named or wanted in named or any("$(" in name for name in named):
        return
    match = FRAMEWORK.search(text)
    line = text.count("\n", 0, match.start()) + 1 if match else 1
    raise _other_framework(job, f"targets {', '.join(named)}", line)


def _framework_wanted(job: Job) -> list[str]:
    """Return the options that choose one of a project's several frameworks."""
    several = "<TargetFrameworks" in _uncommented(job.target.manifest)
    return ["--framework", _wanted(job)] if several and _wanted(job) else []


def _other_framework(job: Job, says: str, line: int = 1) -> BadManifest:
    wanted = _wanted(job)
    return BadManifest(
        f"{job.who}: the project {says}, but the runtime is {job.target.runtime}",
        where=job.place(job.target.manifest, line),
        help=f"write <TargetFramework>{wanted}</TargetFramework>, or change the runtime",
    )


def _says(layout: Layout, name: str) -> bool:
    flag = re.compile(rf"<{name}\b[^>]*>\s*true\s*<", re.IGNORECASE)
    return any(flag.search(_uncommented(file)) for file in (layout.projects[0], *layout.above))


# what was published


def _check_published(job: Job) -> None:
    files = set(os.listdir(job.out))
    if job.target.kind == "function" and job.target.runtime.startswith("provided") and "bootstrap" not in files:
        problem = f"{job.target.runtime} starts a program called bootstrap, which dotnet publish did not make"
        help = "write <OutputType>Exe</OutputType> and <AssemblyName>bootstrap</AssemblyName>"
        raise BadSource(f"{job.who}: {problem}", where=job.place(job.target.manifest), help=help)
    for name in sorted(files):
        if name.endswith(".runtimeconfig.json") and job.target.runtime.startswith("dotnet"):
            _check_runtime(job, json.loads(_text(os.path.join(job.out, name))).get("runtimeOptions", {}))


def _check_runtime(job: Job, options: Mapping[str, Any]) -> None:
    named = [*options.get("frameworks", ()), *([options["framework"]] if "framework" in options else [])]
    versions = {str(item["version"]) for item in named if item.get("name") == "Microsoft.NETCore.App"}
    wanted = re.sub(r"^[a-z]+", "", _wanted(job))
    if wanted and any(".".join(version.split(".")[:2]) != wanted for version in versions):
        raise _other_framework(job, f"needs .NET {', '.join(sorted(versions))}")


def _set_modes(folder: str) -> None:
    """Programs may be run, other files not: NuGet unpacks with whatever the machine's umask makes of it."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as stream:
                os.fchmod(stream.fileno(), 0o755 if stream.read(4).startswith((ELF, SCRIPT)) else 0o644)


# a failure, in dotnet's words


def _explain(job: Job, layout: Layout, error: ToolFailed) -> LambdaBuildError:
    inside = os.path.relpath(layout.top, job.target.project)
    output = error.output.replace(layout.tree + os.sep, "" if inside == "." else inside + os.sep)
    lines = dict.fromkeys(line.strip() for line in output.splitlines())
    errors = [(line, match) for line in lines if (match := ERROR.match(line))]
    if not errors:
        return error
    first = errors[0][1]
    file = os.path.normpath(os.path.join(job.target.project, first["file"].strip()))
    where = job.place(file, int(first["line"] or 1), int(first["column"] or 1)) if os.path.isfile(file) else None
    tail = "\n".join(line for line, _ in errors[:25])
    return explain_output(job, error, KNOWN_FAILURES, output=first["code"], where=where, tail=tail)


def _uncommented(file: str) -> str:
    """Return a file's XML without comments, its lines where they were."""
    return re.sub(r"<!--.*?-->", lambda match: "\n" * match[0].count("\n"), _text(file), flags=re.DOTALL)


def _text(file: str) -> str:
    return Path(file).read_text("utf-8-sig", "replace")
