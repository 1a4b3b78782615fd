"""A folder that nothing describes -> the functions in it, by what their files say. Builds nothing, starts nothing.

A handler is looked for in source files, language by language (``LANGUAGES``); the code folder follows from it.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from lambdabuild.core import regular
from lambdabuild.core.records import Struct, replace

DEEPEST, MOST_FILES, MOST_BYTES = 6, 5000, 200_000
"""How far below the project's folder handlers are looked for, in how many files, and in how much of each."""
NOT_CODE = frozenset({
    "node_modules", "venv", "env", "build", "dist", "target", "bin", "obj", "out", "vendor", "tests", "test", "spec",
    "__tests__", "__pycache__", "cdk.out", "coverage", "docs", "examples", "site-packages",
})  # fmt: skip
"""Folders that hold no handlers of the project, besides those that begin with a dot."""


class Described(Struct, frozen=True):
    """A function as its files describe it; paths are relative to the project's folder."""

    name: str
    path: str
    runtime: str
    handler: str
    evidence: str
    """The file that its handler was found in."""
    build_method: str = ""
    options: Mapping[str, object] = {}


class Sources:
    """The files of the project's folder, read on demand."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.names: dict[str, list[str]] = {}
        """Folder -> the names of its files; "" is the project's."""
        self._walk("", 0)

    def _walk(self, folder: str, depth: int) -> None:
        try:
            entries = sorted(os.scandir(os.path.join(self.folder, folder)), key=lambda entry: entry.name)
        except OSError:
            return
        self.names[folder] = [entry.name for entry in entries if entry.is_file()]
        for entry in entries:
            is_code = entry.name not in NOT_CODE and not entry.name.startswith(".")
            if is_code and entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
                self._walk(posixpath.join(folder, entry.name), depth + 1)

    def files(self, patterns: Sequence[str]) -> Iterator[str]:
        """Yield the files whose names match one of the patterns."""
        paths = (posixpath.join(folder, name) for folder, names in self.names.items() for name in names)
        matching = (path for path in paths if any(fnmatchcase(posixpath.basename(path), glob) for glob in patterns))
        return (path for _, path in zip(range(MOST_FILES), matching, strict=False))

    def text(self, path: str) -> str:
        """Return the beginning of a file's text, "" if it cannot be read."""
        try:
            with open(
                os.path.join(self.folder, path), encoding="utf-8", errors="replace", opener=regular.opener
            ) as stream:
                return stream.read(MOST_BYTES)
        except OSError:
            return ""

    def above(self, folder: str, manifests: Sequence[str]) -> str | None:
        """Return the nearest folder, from this one upwards, that has one of the manifests."""
        while True:
            if any(fnmatchcase(name, glob) for name in self.names.get(folder, ()) for glob in manifests):
                return folder
            if not folder:
                return None
            folder = posixpath.dirname(folder)


Find = Callable[[Sources, str], Iterator[Described]]
"""Yields the functions whose handlers are in a file."""


class Language(Struct, frozen=True):
    """How handlers of a language are found."""

    files: tuple[str, ...]
    find: Find


def functions_in(folder: str) -> tuple[Described, ...]:
    """Return the functions in a project's folder, each under a name of its own, sorted by name."""
    sources = Sources(folder)
    unnamed = [
        function
        for language in LANGUAGES.values()
        for path in sources.files(language.files)
        for function in language.find(sources, path)
    ]
    return tuple(sorted(_named(unnamed, folder), key=lambda function: function.name))


def _named(functions: list[Described], folder: str) -> Iterator[Described]:
    """Give every function the name of its folder; where that is not enough, the names of file and handler too."""
    project = os.path.basename(os.path.abspath(folder))
    taken: set[str] = set()
    folders = Counter(_places(function)[0] for function in functions)
    files = Counter(function.evidence for function in functions)
    for function in functions:
        place, stem, called = _places(function)
        parts = [posixpath.basename(place) or project]
        if folders[place] > 1 and stem not in ("index", "main", "__init__"):
            parts = [stem] if place in ("", "src") else [*parts, stem]
        if files[function.evidence] > 1:
            parts.append(called)
        name = "-".join(re.sub(r"[^A-Za-z0-9_-]+", "-", part).strip("-") for part in parts)[:60] or "function"
        number = 2
        unique = name
        while unique in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique)
        yield replace(function, name=unique)


def _places(function: Described) -> tuple[str, str, str]:
    """Return the folder, the file's name without its ending, and the function's name that a handler is in."""
    folder, name = posixpath.split(function.evidence)
    return folder, name.partition(".")[0], re.split(r"[.:]", function.handler)[-1]


# languages

PYTHON_HANDLER = re.compile(r"^def (\w*handler)\s*\(\s*\w+[^,()]*,\s*\w+[^,()]*,?\s*\)", re.MULTILINE)
NODE_HANDLER = re.compile(
    r"^\s*(?:module\.)?exports\.(\w*[hH]andler)\s*="
    r"|^\s*export\s+(?:const|let|var)\s+(\w*[hH]andler)\b"
    r"|^\s*export\s+(?:async\s+)?function\s+(\w*[hH]andler)\b"
    r"|^\s*module\.exports\s*=\s*\{[^}]*?\b(\w*[hH]andler)\b",
    re.MULTILINE,
)
RUBY_HANDLER = re.compile(r"^\s*def (?:self\.)?(\w*handler)\s*\(\s*event:", re.MULTILINE)
JAVA_CLASS = re.compile(r"\bclass\s+(\w+)[^{]*\bimplements\b[^{]*\bRequest(?:Stream)?Handler\b")
JAVA_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
JAVA_RELEASE = re.compile(
    r"<(?:maven\.compiler\.)?(?:release|target|source)>\s*(?:1\.)?(\d+)|languageVersion\.of\((\d+)\)"
    r"|languageVersion\s*=\s*JavaLanguageVersion\.of\((\d+)\)|(?:source|target)Compatibility\D*?(?:1[._])?(\d+)"
)
JAVA_RUNTIMES = {8: "java8.al2", 11: "java11", 17: "java17", 21: "java21"}
CSHARP_METHOD = re.compile(r"\bpublic\s+(?:async\s+)?[\w<>\[\]?., ]+\s+(\w*Handler\w*)\s*\([^)]*ILambdaContext\b")
CSHARP_CLASS = re.compile(r"\bclass\s+(\w+)")
CSHARP_NAMESPACE = re.compile(r"^\s*namespace\s+([\w.]+)", re.MULTILINE)
GO_MAIN, GO_START = re.compile(r"^package main\b", re.MULTILINE), re.compile(r"\blambda\.Start\w*\(")
VERSION_FILE = re.compile(r"(?:3\.(?:9|1[0-4]))")
PYTHON, NODE, RUBY, DOTNET, PROVIDED = "python3.13", "nodejs22.x", "ruby3.4", "dotnet8", "provided.al2023"


def _python(sources: Sources, path: str) -> Iterator[Described]:
    folder = posixpath.dirname(path)
    while folder and "__init__.py" in sources.names.get(folder, ()):
        folder = posixpath.dirname(folder)
    version = VERSION_FILE.match(sources.text(".python-version")) if ".python-version" in sources.names[""] else None
    runtime = f"python{version[0]}" if version else PYTHON
    for function in _matches(PYTHON_HANDLER, sources.text(path)):
        yield Described("", folder or ".", runtime, f"{_module(path, folder).replace('/', '.')}.{function}", path)


def _node(sources: Sources, path: str) -> Iterator[Described]:
    folder = sources.above(posixpath.dirname(path), ["package.json"])
    home = posixpath.dirname(path) if folder is None else folder
    is_typed = path.endswith((".ts", ".mts"))
    if path.endswith((".d.ts", ".d.mts", ".test.ts", ".spec.ts", ".test.js", ".spec.js")) or (
        is_typed and folder is None
    ):
        return
    inside = posixpath.relpath(path, home or ".")
    for function in _matches(NODE_HANDLER, sources.text(path)):
        handler = f"{_module(path, home)}.{function}"
        if is_typed:
            handler = f"{posixpath.basename(_module(path, home))}.{function}"
        method, options = ("esbuild", {"EntryPoints": [inside]}) if is_typed else ("", {})
        yield Described("", home or ".", NODE, handler, path, method, options)


def _ruby(sources: Sources, path: str) -> Iterator[Described]:
    folder = sources.above(posixpath.dirname(path), ["Gemfile"])
    folder = posixpath.dirname(path) if folder is None else folder
    for function in _matches(RUBY_HANDLER, sources.text(path)):
        yield Described("", folder or ".", RUBY, f"{_module(path, folder)}.{function}", path)


def _go(sources: Sources, path: str) -> Iterator[Described]:
    text, folder = sources.text(path), posixpath.dirname(path)
    if GO_MAIN.search(text) and GO_START.search(text) and sources.above(folder, ["go.mod"]) is not None:
        yield Described("", folder or ".", PROVIDED, "bootstrap", path)


def _rust(sources: Sources, path: str) -> Iterator[Described]:
    text = sources.text(path)
    if re.search(r"^\s*lambda_(runtime|http)\b", text, re.MULTILINE) and "[package]" in text:
        yield Described("", posixpath.dirname(path) or ".", PROVIDED, "bootstrap", path, "rust-cargolambda")


def _java(sources: Sources, path: str) -> Iterator[Described]:
    manifests = ["pom.xml", "build.gradle", "build.gradle.kts"]
    folder, text = sources.above(posixpath.dirname(path), manifests), sources.text(path)
    owner, package = JAVA_CLASS.search(text), JAVA_PACKAGE.search(text)
    if folder is None or owner is None:
        return
    described = "".join(sources.text(posixpath.join(folder, name)) for name in manifests)
    numbers = [int(number) for match in JAVA_RELEASE.finditer(described) for number in match.groups() if number]
    wanted = max(numbers, default=21)
    runtime = next((name for release, name in JAVA_RUNTIMES.items() if release >= wanted), JAVA_RUNTIMES[21])
    whole = f"{package[1]}.{owner[1]}" if package else owner[1]
    yield Described("", folder or ".", runtime, f"{whole}::handleRequest", path)


def _dotnet(sources: Sources, path: str) -> Iterator[Described]:
    folder, text = sources.above(posixpath.dirname(path), ["*.csproj"]), sources.text(path)
    method = CSHARP_METHOD.search(text)
    if folder is None or method is None:
        return
    project = next(name for name in sources.names[folder] if name.endswith(".csproj"))
    named = re.search(r"<AssemblyName>\s*([^<\s]+)", sources.text(posixpath.join(folder, project)))
    owner, space = CSHARP_CLASS.search(text), CSHARP_NAMESPACE.search(text)
    if owner is not None:
        whole = f"{space[1]}.{owner[1]}" if space else owner[1]
        assembly = named[1] if named else project.removesuffix(".csproj")
        yield Described("", folder or ".", DOTNET, f"{assembly}::{whole}::{method[1]}", path)


def _bootstrap(sources: Sources, path: str) -> Iterator[Described]:
    yield Described("", posixpath.dirname(path) or ".", PROVIDED, "bootstrap", path)


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    names = (next(filter(None, match.groups())) for match in pattern.finditer(text))
    return list(dict.fromkeys(names))


def _module(path: str, folder: str) -> str:
    """Return a file's path in its code folder, without its ending."""
    return posixpath.splitext(posixpath.relpath(path, folder or "."))[0]


LANGUAGES: Mapping[str, Language] = {
    "Python": Language(("*.py",), _python),
    "Node.js": Language(("*.js", "*.mjs", "*.cjs", "*.ts", "*.mts"), _node),
    "Ruby": Language(("*.rb",), _ruby),
    "Go": Language(("*.go",), _go),
    "Rust": Language(("Cargo.toml",), _rust),
    "Java": Language(("*.java",), _java),
    ".NET": Language(("*.cs",), _dotnet),
    "custom": Language(("bootstrap",), _bootstrap),
}
"""A language -> where its handlers are."""
