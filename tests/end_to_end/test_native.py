"""Native builds on a real engine: what cannot be built here is built in a container that is like the runtime."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from docker_engine import Engine
from sandbox import Ran, Sandbox

SETTINGS = """\
use_container = "auto"
image = "{image}"
[container]
network = "host"
mounts = ["/etc/ssl/certs"]
"""
"""The engine has no network of its own; certificates are this machine's."""

TEMPLATE = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
SETUP = """\
from setuptools import Extension, setup
setup(name="tally", version="1.0", ext_modules=[Extension("tally", ["tally.c"], optional=True)])
"""
TALLY = """\
#include <Python.h>
static PyObject *count(PyObject *self, PyObject *text) {
    Py_ssize_t length = PyUnicode_GetLength(text);
    return length < 0 ? NULL : PyLong_FromSsize_t(length);
}
static PyMethodDef methods[] = {{"count", count, METH_O, "How long a text is."}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tally", NULL, -1, methods};
PyMODINIT_FUNC PyInit_tally(void) { return PyModule_Create(&module); }
"""
HANDLER = "import tally\n\ndef handler(event, context):\n    return tally.count(event)\n"


def function(name: str, runtime: str, source: str, handler: str = "app.handler") -> str:
    properties = f"{{Runtime: {runtime}, Handler: {handler}, CodeUri: {source}}}"
    return f"  {name}: {{Type: 'AWS::Serverless::Function', Properties: {properties}}}\n"


def sdist(folder: Path, name: str, files: dict[str, str]) -> Path:
    """``<name>-1.0.tar.gz`` with these files, the same at every call."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    with gzip.GzipFile(path, "wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for file, text in {**files, "PKG-INFO": metadata}.items():
            info = tarfile.TarInfo(f"{name}-1.0/{file}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def extension(project: Sandbox, name: str) -> bytes:
    """What was compiled from tally.c."""
    return project.content(name, next(file for file in project.names(name) if re.fullmatch(r"tally\.\S+\.so", file)))


@pytest.fixture
def python(engine: Engine, base_image: str) -> str:
    """The runtime that is like the image."""
    said = engine.run(base_image, "python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])")
    return said.strip()


@pytest.fixture
def env(engine: Engine, tmp_path: Path) -> dict[str, str]:
    """The engine, and a store of the machine's that is empty but for what uv and npm keep."""
    return {
        **engine.environment,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "UV_CACHE_DIR": os.path.expanduser("~/.cache/uv"),
    }


def needs_compiler(project: Sandbox, python: str, image: str, *names: str) -> Sandbox:
    """Functions that need a package which has an sdist only, written in C."""
    archive = sdist(project.folder / "packages", "tally", {"setup.py": SETUP, "tally.c": TALLY})
    for name in names:
        project.write(
            {f"{name}/app.py": HANDLER, f"{name}/requirements.txt": f"tally @ {archive.as_uri()}\n# {name}\n"}
        )
    functions = "".join(function(name.title(), python, name) for name in names)
    return project.write({"template.yaml": TEMPLATE + functions, "lambdabuild.toml": SETTINGS.format(image=image)})


@pytest.mark.slow
def test_an_sdist_in_c_is_built_in_the_container_once(
    project: Sandbox, engine: Engine, base_image: str, python: str, env: dict[str, str]
) -> None:
    needs_compiler(project, python, base_image, "first")
    project.build(env=env)

    assert extension(project, "First")
    call = ["python3", "-c", "import app; print(app.handler('four', None))"]
    assert engine.run(base_image, *call, folder=project.path("build/First")) == "4\n"
    assert engine.containers(project.folder) == []
    assert project.build(env=env).steps == []

    needs_compiler(project, python, base_image, "first", "second")
    with engine.started(project.folder) as started:
        project.build(env=env)
    assert started == []
    assert extension(project, "Second") == extension(project, "First")


BINDING = """\
{"targets": [{"target_name": "tally", "sources": ["tally.cc"]}]}
"""
TALLY_CC = """\
#include <node_api.h>
static napi_value Count(napi_env env, napi_callback_info info) {
  size_t argc = 1, length = 0;
  napi_value argv[1], result;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  napi_get_value_string_utf8(env, argv[0], nullptr, 0, &length);
  napi_create_int64(env, static_cast<int64_t>(length), &result);
  return result;
}
static napi_value Init(napi_env env, napi_value exports) {
  napi_create_function(env, "count", NAPI_AUTO_LENGTH, Count, nullptr, &exports);
  return exports;
}
NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
"""
INDEX_JS = "const count = require('tally');\nexports.handler = async (event) => count(event);\n"


def needs_addon(project: Sandbox, image: str, *names: str) -> Sandbox:
    """Functions that need a package whose binding.gyp npm gives to node-gyp."""
    about = {"name": "tally", "version": "1.0.0", "main": "index.js"}
    package = {
        "package.json": json.dumps(about), "binding.gyp": BINDING, "tally.cc": TALLY_CC,
        "index.js": "module.exports = require('./build/Release/tally.node');\n",
    }  # fmt: skip
    project.write({f"tally/{name}": text for name, text in package.items()})
    for name in names:
        manifest = {"name": name, "version": "1.0.0", "dependencies": {"tally": "file:../tally"}}
        project.write({f"{name}/index.js": INDEX_JS, f"{name}/package.json": json.dumps(manifest)})
    functions = "".join(function(name.title(), "nodejs20.x", name, "index.handler") for name in names)
    return project.write({"template.yaml": TEMPLATE + functions, "lambdabuild.toml": SETTINGS.format(image=image)})


@pytest.mark.slow
def test_a_native_addon_is_compiled_in_the_container_once(
    project: Sandbox, engine: Engine, base_image: str, env: dict[str, str]
) -> None:
    needs_addon(project, base_image, "first")
    project.build(env=env)

    call = ["node", "-e", "require('./index.js').handler('four').then((n) => console.log(n))"]
    assert engine.run(base_image, *call, folder=project.path("build/First")) == "4\n"
    assert [name for name in project.names("First") if "/build/" in name] == [
        "node_modules/tally/build/Release/tally.node"
    ]
    assert engine.containers(project.folder) == []
    assert project.build(env=env).steps == []


CALLER = 65533
"""A user who is not root and in no file."""


@pytest.mark.slow
def test_mounted_or_sent_the_tree_is_the_same_and_the_callers(
    engine: Engine, base_image: str, python: str, env: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Sandbox(Path(folder, "project"))
        needs_compiler(project, python, base_image, "counts")
        archive = next(project.folder.glob("packages/*"))
        needs_addon(project, base_image, "adds")
        project.write({
            "template.yaml": TEMPLATE + function("Counts", python, "counts") + function("Adds", "nodejs20.x", "adds", "index.handler"),
            "counts/requirements.txt": f"tally @ {archive.as_uri()}\n",
        })  # fmt: skip
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, CALLER, CALLER)
        trees = {}
        for transfer in ("mount", "archive"):
            ran = as_caller(
                project,
                transfer,
                {**env, "XDG_CACHE_HOME": f"{folder}/{transfer}", "UV_CACHE_DIR": f"{folder}/uv", "HOME": folder},
            )
            assert ran.code == 0, ran.said
            manifest = json.loads(project.path(f"build-{transfer}/manifest.json").read_text())
            trees[transfer] = {name: item["tree_digest"] for name, item in manifest["functions"].items()}
            owners = {path.lstat().st_uid for path in Path(folder).rglob("*")}
            assert owners == {CALLER}
        assert trees["mount"] == trees["archive"]
        assert engine.containers(project.folder) == []


def as_caller(project: Sandbox, transfer: str, env: dict[str, str]) -> Ran:
    """A build of all in containers, by a user who may read the tests' Python but owns nothing of it."""
    who = ["setpriv", f"--reuid={CALLER}", f"--regid={CALLER}", "--groups=0"]
    rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    settings = ["use_container=true", f"container.transfer={transfer}", f"build_dir=build-{transfer}", "quiet=true"]
    return project.command([*who, *rights, sys.executable, "-m", "lambdabuild", "build", *settings], env=env)
