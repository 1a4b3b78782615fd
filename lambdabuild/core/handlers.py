"""Look for a handler where Lambda's runtimes do: one row of ``FINDERS`` for each kind of runtime.

In: what a function's ``Handler`` says, and the paths in its artifact and layers. Out: what is missing, in words.
No source is looked into: whether a module has the function is not checked.
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from lambdabuild.core.records import Struct, field

TASK, OPT = "/var/task/", "/opt/"
ALIKE_AT_MOST = 3


class Files(Struct, frozen=True):
    """The files that a function finds where it runs: each path, and whether it is executable."""

    code: Mapping[str, bool]
    """Of the artifact, relative to /var/task."""
    opt: Mapping[str, bool] = field(default_factory=dict)
    """Of the layers, relative to /opt."""
    is_in_jar: Callable[[Collection[str], str], bool] = lambda jars, name: False
    """Return whether one of some jars, given by their full paths, holds a file."""


class Finder(Struct, frozen=True):
    """How the runtimes of one language look for a handler."""

    missing: Callable[[str, str, Files], str]
    """(handler, runtime, files) -> "" when it is there, else what is not: ``there is no app.py``."""
    file: Callable[[str], str]
    """The file that a handler names, without its ending: ``src/app``."""
    endings: tuple[str, ...] = ("",)
    """Of files that a handler may be in, or that are made into such files."""
    named: Callable[[str, str], str] = lambda path, handler: ""
    """The handler that would be in another file, "" when none can be."""
    search_path: tuple[str, ...] = ()
    """Variables with which a function has code found elsewhere."""
    reads_handler: bool = True
    """True if the value of ``Handler`` matters."""


def finder_of(runtime: str) -> Finder | None:
    """How a runtime looks for its handler; None for one that nobody here knows, whose handler is not checked."""
    return next((finder for pattern, finder in FINDERS.items() if fnmatchcase(runtime, pattern)), None)


def alike(finder: Finder, handler: str, paths: Iterable[str]) -> list[str]:
    """Return the files that a missing handler may mean, the likeliest first."""
    wanted = posixpath.basename(finder.file(handler))
    stems = {path: _stems(path, finder.endings) for path in sorted(paths) if path.endswith(finder.endings)}
    same = [path for path, both in stems.items() if wanted.lower() in map(str.lower, both)]
    near = difflib.get_close_matches(wanted, {stem for both in stems.values() for stem in both}, n=ALIKE_AT_MOST)
    similar = same or [path for path, both in stems.items() if not both.isdisjoint(near)]
    return sorted(similar, key=lambda path: (wanted not in stems[path], path.count("/"), path))[:ALIKE_AT_MOST]


def _stems(path: str, endings: tuple[str, ...]) -> set[str]:
    """Return the names of a file: ``orders`` of ``src/orders.js``, ``src/orders/index.js``, ``orders/__init__.py``."""
    ending = max((end for end in endings if path.endswith(end)), key=len, default="")
    folder, name = posixpath.split(path.removesuffix(ending))
    return {name, posixpath.basename(folder)} if name in ("index", "__init__") and folder else {name}


# Python: https://github.com/aws/aws-lambda-python-runtime-interface-client (bootstrap._get_handler)


def _python(handler: str, runtime: str, files: Files) -> str:
    parts = _python_file(handler).split("/")
    if handler.endswith(".") or not all(parts):
        return f"{handler!r} is no module.function"
    digits = runtime.removeprefix("python").replace(".", "")
    compiled = (f".cpython-{digits}-{cpu}-linux-gnu.so" for cpu in ("x86_64", "aarch64"))
    own = (".py", ".pyc", ".so", ".abi3.so", *compiled)
    roots = [(files.code, ""), (files.opt, f"python/lib/{runtime}/site-packages/"), (files.opt, "python/")]
    for part in parts[:-1]:
        roots = list(_packages(roots, part, own))
    is_there = any(_is_module(paths, folder + parts[-1], own) for paths, folder in roots)
    path = "/".join(parts)
    return "" if is_there else f"there is no {path}.py, and no {path}/__init__.py"


def _python_file(handler: str) -> str:
    """Lambda takes both ``app.orders.handler`` and ``app/orders.handler``."""
    return handler.rpartition(".")[0].replace(".", "/")


def _packages(
    roots: list[tuple[Mapping[str, bool], str]], name: str, endings: tuple[str, ...]
) -> Iterator[tuple[Mapping[str, bool], str]]:
    """Yield the folders of a package, as Python finds them: the first regular one, else all of a namespace package."""
    portions = []
    for paths, folder in roots:
        inside = f"{folder}{name}/"
        if _is_there(paths, f"{inside}__init__", endings):
            yield paths, inside
            return
        if _is_there(paths, folder + name, endings):
            return  # a module that is no package
        portions.append((paths, inside))
    yield from portions


def _is_module(paths: Mapping[str, bool], base: str, endings: tuple[str, ...]) -> bool:
    return _is_there(paths, base, endings) or _is_there(paths, f"{base}/__init__", endings)


def _is_there(paths: Collection[str], base: str, endings: tuple[str, ...]) -> bool:
    return any(base + ending in paths for ending in endings)


def _python_handler(path: str, handler: str) -> str:
    if not path.endswith(".py"):
        return ""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return f"{module}.{handler.rpartition('.')[2]}"


# Node.js: https://github.com/aws/aws-lambda-nodejs-runtime-interface-client (src/UserFunction.js)


def shortened(handler: str, code: Collection[str]) -> str:
    """Return a bundle's handler without the folders that its file is not in.

    ``src/orders.get`` is ``orders.get`` when the artifact has no src/orders.js, but an orders.js.
    """
    files, parts = Files(dict.fromkeys(code, False)), handler.split("/")
    shorter = ["/".join(parts[n:]) for n in range(1, len(parts))] if not handler.startswith(OPT) else []
    return next((candidate for candidate in (handler, *shorter) if not _node(candidate, "", files)), handler)


def node_module(handler: str) -> tuple[str, str, str]:
    """(folder, module, function): the module ends at the first dot of the last part of the path."""
    name = posixpath.basename(handler)
    module, _, function = name.partition(".")
    return handler[: len(handler) - len(name)], module, function


def _node(handler: str, runtime: str, files: Files) -> str:
    folder, module, function = node_module(handler)
    if not module or not function or ".." in handler:
        return f"{handler!r} is no module.function"
    place = posixpath.normpath(posixpath.join(TASK, folder, module))
    in_layer = place.startswith(OPT)
    paths, path = (files.opt, place.removeprefix(OPT)) if in_layer else (files.code, place.removeprefix(TASK))
    number = "".join(filter(str.isdigit, runtime.partition(".")[0]))
    packages = [(files.code, "node_modules/"), (files.code, posixpath.join(folder, "node_modules/"))]
    packages += [(files.opt, "nodejs/node_modules/"), (files.opt, f"nodejs/node{number}/node_modules/")]
    is_there = _is_there(paths, path, ("", ".js", ".mjs", ".cjs", *_IN_FOLDER)) or any(
        _is_there(there, root + module, (".js", *_IN_FOLDER)) for there, root in packages
    )
    return "" if is_there else f"there is no {path}.js (.mjs, .cjs), and no {path}/index.js"


def _node_file(handler: str) -> str:
    folder, module, _ = node_module(handler)
    return folder + module


_IN_FOLDER = ("/index.js", "/package.json")
"""With which ``require`` takes a folder for a module."""


def _node_handler(path: str, handler: str) -> str:
    folder, name = posixpath.split(path)
    stem, _, ending = name.partition(".")
    if ending not in ("js", "mjs", "cjs"):
        return ""
    return f"{posixpath.join(folder, stem)}.{node_module(handler)[2] or handler.rpartition('.')[2]}"


# Ruby: https://github.com/aws/aws-lambda-ruby-runtime-interface-client (lib/aws_lambda_ric/lambda_handler.rb)


def _ruby(handler: str, runtime: str, files: Files) -> str:
    parts = handler.removeprefix("./").split(".")
    if len(parts) not in (2, 3) or not all(parts):
        return f"{handler!r} is neither file.method nor file.Class.method"
    name = posixpath.normpath(_ruby_file(handler))
    is_there = (
        _is_there(files.code, name, (".rb", ".so"))
        or _is_there(files.opt, f"ruby/lib/{name}", (".rb", ".so"))
        or any("/gems/" in path and path.endswith(f"/lib/{name}.rb") for path in (*files.code, *files.opt))
    )
    return "" if is_there else f"there is no {name}.rb"


def _ruby_file(handler: str) -> str:
    return handler.removeprefix("./").partition(".")[0]


def _ruby_handler(path: str, handler: str) -> str:
    stem = path.removesuffix(".rb")
    return f"{stem}.{handler.removeprefix('./').partition('.')[2]}" if stem != path and "." not in stem else ""


# Java: https://docs.aws.amazon.com/lambda/latest/dg/java-package.html


def _java(handler: str, runtime: str, files: Files) -> str:
    name = _java_file(handler) + ".class"
    jars = [TASK + path for path in files.code if posixpath.dirname(path) == "lib" and path.endswith(".jar")]
    jars += [OPT + path for path in files.opt if posixpath.dirname(path) == "java/lib" and path.endswith(".jar")]
    if name in files.code or files.is_in_jar(jars, name):
        return ""
    return f"there is no {name}, and none in a jar of lib/"


def _java_file(handler: str) -> str:
    return handler.partition("::")[0].replace(".", "/")


def _java_handler(path: str, handler: str) -> str:
    stem = path.removesuffix(".class")
    return stem.replace("/", ".") + "".join(handler.partition("::")[1:]) if stem != path else ""


# .NET: https://docs.aws.amazon.com/lambda/latest/dg/csharp-handler.html


def _dotnet(handler: str, runtime: str, files: Files) -> str:
    assembly = _dotnet_file(handler)
    is_there = f"{assembly}.dll" in files.code or bool(files.code.get(assembly) or files.code.get("bootstrap"))
    return "" if is_there else f"there is no {assembly}.dll"


def _dotnet_file(handler: str) -> str:
    return handler.partition("::")[0]


def _dotnet_handler(path: str, handler: str) -> str:
    stem = path.removesuffix(".dll")
    return "::".join([stem, *handler.split("::")[1:]]) if stem != path and "/" not in stem else ""


# what is started itself: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html


def _bootstrap(handler: str, runtime: str, files: Files) -> str:
    return _program("bootstrap", files.code, files.opt)


def _go(handler: str, runtime: str, files: Files) -> str:
    return _program(posixpath.normpath(handler), files.code)


def _go_file(handler: str) -> str:
    return posixpath.basename(handler)


def _program(name: str, *places: Mapping[str, bool]) -> str:
    if any(paths.get(name) for paths in places):
        return ""
    return f"{name} is not executable" if any(name in paths for paths in places) else f"there is no {name}"


NODE = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx")
FINDERS: Mapping[str, Finder] = {
    "python*": Finder(_python, _python_file, (".py", ".pyc", ".so"), _python_handler, ("PYTHONPATH",)),
    "nodejs*": Finder(_node, _node_file, NODE, _node_handler, ("NODE_PATH",)),
    "ruby*": Finder(_ruby, _ruby_file, (".rb",), _ruby_handler, ("RUBYLIB", "GEM_PATH")),
    "java*": Finder(_java, _java_file, (".class",), _java_handler, ("CLASSPATH", "JAVA_TOOL_OPTIONS")),
    "dotnet*": Finder(_dotnet, _dotnet_file, (".dll",), _dotnet_handler),
    "go1.x": Finder(_go, _go_file),
    "provided*": Finder(_bootstrap, lambda handler: "bootstrap", reads_handler=False),
}
"""A pattern of runtimes -> how these look for a handler."""
