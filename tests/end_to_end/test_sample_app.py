"""The sample app, built as a user would: what comes out can be imported, deployed, and built again the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import invoke
import pytest
from sandbox import SAMPLE_APP, Sandbox, sample_app

pytestmark = pytest.mark.slow

EVENTS = sorted(path.stem for path in (SAMPLE_APP / "events").glob("*.json"))
LAYERS = {"CreateOrder": ["SharedLayer", "CatalogLayer"], "GetOrder": ["SharedLayer", "CatalogLayer"],
          "WriteInvoice": ["SharedLayer"]}  # fmt: skip
HANDLERS = {"CreateOrder": "app.create", "GetOrder": "app.get", "WriteInvoice": "invoices.app.handler"}
CALLS = {
    "SendReceipt": invoke.node,
    "ShowCatalog": partial(invoke.node, module="app.js"),
    "TrackParcel": invoke.bootstrap,
    "ConvertPrice": invoke.bootstrap,
    "Heartbeat": invoke.bootstrap,
    "SendNewsletter": partial(invoke.ruby, gems="vendor/bundle/ruby/3.4.0"),
    "ReportTaxes": partial(invoke.java, handler="shop.Taxes::handleRequest"),
}
"""The others are in Python."""
MACHINES = {"x86_64": 62, "arm64": 183}
"""e_machine of the ELF header."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    app = sample_app(tmp_path_factory.mktemp("sample") / "app")
    app.build()
    return app


@pytest.mark.parametrize("name", [name for name in EVENTS if name != "PrintLabel"])
def test_a_built_function_is_started_from_its_zip_alone_and_answers(name: str, built: Sandbox, tmp_path: Path) -> None:
    told = json.loads((SAMPLE_APP / "events" / f"{name}.json").read_text())
    name = name.replace(".", "/")
    code = built.unzip(name, tmp_path / "task")
    layers = [built.unzip(layer, tmp_path / layer) for layer in LAYERS.get(name, [])]
    env = {"CATALOG": str(tmp_path / "CatalogLayer/catalog/prices.json"), "CURRENCY": "EUR"}
    call = CALLS.get(name) or partial(invoke.python, handler=HANDLERS.get(name, "app.handler"), layers=layers)

    assert call(code, told["event"], **env) == told["expect"]


@pytest.mark.parametrize(("name", "architecture"), [("CreateOrder", "x86_64"), ("PrintLabel", "arm64")])
def test_native_files_are_for_the_functions_processor(name: str, architecture: str, built: Sandbox) -> None:
    headers = [built.content(name, file)[:20] for file in built.names(name) if file.endswith(".so")]

    assert headers
    assert {header[:4] for header in headers} == {b"\x7fELF"}
    assert {struct.unpack("<H", header[18:20])[0] for header in headers} == {MACHINES[architecture]}


def test_the_tree_and_the_zip_hold_the_same(built: Sandbox) -> None:
    for name in ("CreateOrder", "SharedLayer", "SendReceipt", "Notifications/NotifyCustomer"):
        tree = built.path(f"build/{name}")
        files = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
        assert files == sorted(built.names(name))
        assert all((tree / file).read_bytes() == built.content(name, file) for file in files)


def test_the_manifest_tells_what_was_built(built: Sandbox) -> None:
    manifest = built.manifest
    order = manifest["functions"]["CreateOrder"]
    zipped = built.path("build/CreateOrder.zip").read_bytes()

    assert order["sha256"] == hashlib.sha256(zipped).hexdigest()
    assert order["zip_bytes"] == len(zipped)
    assert order["rule"] == "python_pip"
    assert order["shared_with"] == ["GetOrder"]
    assert order["resolution"] == manifest["functions"]["RefundOrder"]["resolution"]
    assert [package["name"] for package in order["packages"]] == ["orjson"]
    assert manifest["left_alone"] == {"Health": "its code is inline"}
    assert set(manifest["layers"]) == {"SharedLayer", "CatalogLayer"}


def test_dev_dependencies_and_the_machine_stay_out(built: Sandbox) -> None:
    everything = [(name, file) for name in built.manifest["functions"] for file in built.names(name)]

    assert not [file for _, file in everything if "/ms/" in file or "pytest" in file or "__pycache__" in file]
    assert not [file for _, file in everything if file.endswith(("/RECORD", "/INSTALLER", "direct_url.json"))]
    for path in built.path("build").rglob("*.zip"):
        assert str(built.folder).encode() not in path.read_bytes()


def test_the_templates_point_at_trees_and_at_uploaded_zips(built: Sandbox) -> None:
    original = (SAMPLE_APP / "template.yaml").read_text()
    for kind in ("built", "packaged"):
        text = built.path(f"build/{kind}-template.yaml").read_text()
        changed = [(old, new) for old, new in zip(original.splitlines(), text.splitlines(), strict=True) if old != new]
        assert len(changed) == 16
        for old, new in changed:
            key, value = new.strip().split(": ")
            assert old.strip().startswith(key)
            assert built.path("build").joinpath(value).exists()


def as_somebody_else() -> list[str]:
    """What makes a command run as another user; nothing where a user may not do that."""
    command = ["unshare", "--user", "--map-user=4321", "--map-group=4321"]
    allowed = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if allowed and allowed.returncode == 0 else []


def test_a_second_build_elsewhere_gives_the_same_bytes(built: Sandbox, tmp_path: Path) -> None:
    """Another path, user, umask, time zone, locale, hash seed, number of threads, age and order of files."""
    there = tmp_path / "a much longer path, with blanks" / "app"
    there.parent.mkdir()
    there.mkdir()
    files = [path for path in built.folder.rglob("*") if "build" not in path.relative_to(built.folder).parts]
    for path in sorted(files, reverse=True):
        target = there / path.relative_to(built.folder)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            os.utime(target, (1_000_000_000, 1_000_000_000))
    env = {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "7", "LC_ALL": "C", "LAMBDABUILD_JOBS": "1",
           "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/.cache"),
           "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))}  # fmt: skip
    other = Sandbox(there)
    ran = other.command(
        [*as_somebody_else(), "bash", "-c", f"umask 077; exec {sys.executable} -m lambdabuild build"], env=env
    )

    assert ran.code == 0, ran.said
    assert {name: hashlib.sha256(data).hexdigest() for name, data in other.zips().items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in built.zips().items()
    }
    assert other.path("build/manifest.json").read_text() == built.path("build/manifest.json").read_text()
