"""Steps that were run before, here or elsewhere, are not run again; and no cache ever makes a build wrong or fail."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cache_servers import Reapi, casd, nginx
from clones import RUN, Clone, really_run, spared
from s3_server import S3Server
from sandbox import Sandbox, sample_app

from lambdabuild.cache import zstd

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Packed: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: packed}}
  Made:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: made}
"""
MAKEFILE = """\
build-Made:
	echo made >> "$(LOG)"
	cp -r app.py lib "$(ARTIFACTS_DIR)"
	ln -s app.py "$(ARTIFACTS_DIR)/same.py"
"""
FILES = {
    "template.yaml": TEMPLATE,
    "packed/app.py": "import idna\n\ndef handler(event, context):\n    return idna.encode(event).decode()\n",
    "packed/requirements.txt": "-r ../base.txt\n",
    "base.txt": "idna==3.10\n",
    "made/Makefile": MAKEFILE,
    "made/app.py": "x = 1\n",
    "made/lib/a.py": "y = 1\n",
    "lambdabuild.toml": "[options]\nenvironment = ['LOG', 'API_TOKEN']\n",
}
"""A function of packages, whose manifest includes another file, and one that a Makefile makes."""


def small(app: Clone) -> Clone:
    app.write(FILES)
    return app


@contextmanager
def remote(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """A cache server of a kind, as settings in the environment."""
    if kind == "s3":
        with S3Server() as server:
            server.bucket("team")
            yield {
                **server.environment,
                "LAMBDABUILD_ENDPOINT_URL": server.url,
                "LAMBDABUILD_CACHE__REMOTES": "s3://team/cache",
            }
    else:
        with {"nginx": nginx, "casd": casd}[kind](folder / kind) as address:
            yield {"LAMBDABUILD_CACHE__REMOTES": address}


def trees(app: Sandbox) -> dict[str, bytes]:
    """What the folders hold that built-template.yaml points at."""
    build = app.path("build")
    files = (
        path for path in build.rglob("*") if path.is_file() and not path.relative_to(build).parts[0].startswith(".")
    )
    return {
        str(path.relative_to(build)): path.read_bytes()
        for path in files
        if path.suffix not in (".zip", ".json", ".yaml")
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "nginx", "casd"])
def test_a_second_clone_elsewhere_with_an_empty_home_runs_no_step_of_any_function(kind: str, tmp_path: Path) -> None:
    everything = kind == "s3"
    with remote(kind, tmp_path / "server") as settings:
        folders = (tmp_path / "first/app", tmp_path / "a second/place/app")
        first, second = (
            Clone(sample_app(folder, in_all_languages=everything).folder, folder.with_name("home"), **settings)
            for folder in folders
        )
        there = first.build()
        here = second.build()

        assert really_run(here) == []
        assert {step for step in there.steps if step.startswith((*RUN, "zip"))} == {
            *spared(here), *(step for step in here.steps if step.startswith("zip"))
        }  # fmt: skip
        assert second.zips() == first.zips()
        assert trees(second) == trees(first)
        assert here.summary["warnings"] == there.summary["warnings"] == []
        assert 0 < here.summary["fetched_bytes"] < there.summary["sent_bytes"]
        null = second.build()
        assert null.steps == spared(null) == []
        # What an edit needs of the steps that were not run is fetched, or fetched and unpacked.
        second.append("src/orders/app.py", "# edited\n")
        second.append("src/storefront/heading.ts", "// edited\n") if everything else None
        edited = second.build()
        assert [step for step in really_run(edited) if step.startswith("resolve")] == []
        assert "copy:CreateOrder" in edited.steps
        assert ("compile:ShowCatalog" in edited.steps) is everything
        assert edited.summary["warnings"] == []
        first.append("src/orders/app.py", "# edited\n")
        first.append("src/storefront/heading.ts", "// edited\n") if everything else None
        assert really_run(first.build()) == []
        assert second.zips() == first.zips()


def test_checkouts_of_one_machine_share_a_folder_and_what_is_in_it_is_told(tmp_path: Path) -> None:
    first, second = (small(Clone(tmp_path / name, tmp_path / "home")) for name in ("first", "second"))
    first.build()
    ran = second.run("build", env=second.env)

    assert "0 up to date" in ran.out
    assert "6 restored" in ran.out, ran.said
    assert "resolve:Packed" in ran.out
    assert "restored" in second.run("why", "Packed", env=second.env).out
    assert second.zips() == first.zips()
    assert second.build().steps == []
    # An edit that is taken back is no edit.
    second.append("packed/app.py", "# edited\n")
    assert really_run(second.build()) == ["copy:Packed"]
    second.write({"packed/app.py": FILES["packed/app.py"], "made/app.py": "x = 2\n"})
    assert really_run(second.build()) == ["compile:Made", "copy:Made"]
    second.write({"made/app.py": FILES["made/app.py"]})
    assert really_run(second.build()) == []
    assert second.zips() == first.zips()
    assert trees(second) == trees(first)
    # doit's own commands reach what was restored.
    assert second.run("forget", "zip:Made", env=second.env).code == 0
    assert f"zip:Made  would be restored from {tmp_path}/home" in second.run("why", "Made", env=second.env).out
    assert spared(second.build()) == ["zip:Made"]
    assert second.run("clean", "compile:Made", env=second.env).code == 0
    assert spared(second.build()) == ["compile:Made"]


def test_a_file_that_only_a_run_reveals_counts(tmp_path: Path) -> None:
    first, second = (small(Clone(tmp_path / name, tmp_path / "home")) for name in ("first", "second"))
    first.build()
    second.write({"base.txt": "idna==3.7\n"})

    assert "resolve:Packed" in second.build().steps
    assert second.manifest["functions"]["Packed"]["packages"][0]["version"] == "3.7"
    second.write({"base.txt": FILES["base.txt"]})
    assert really_run(second.build()) == []
    assert second.zips() == first.zips()
    first.write({"base.txt": "idna==3.7\n"})
    assert really_run(first.build()) == []


def test_a_source_that_is_edited_while_a_step_runs_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    """What the step left may be of either source."""
    app = small(Clone(tmp_path / "app", tmp_path / "home", LOG=str(tmp_path / "app/log")))
    app.append("made/Makefile", '\tsleep 0.1; echo "x = 2" > "$(dir $(LOG))made/app.py"\n')
    app.build("Made")
    app.write({"made/app.py": FILES["made/app.py"]})
    shutil.rmtree(app.path("build"))
    assert "compile:Made" in really_run(app.build("Made"))


def test_who_asks_for_everything_anew_gets_it_and_the_others_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    app = small(Clone(tmp_path / "a", home))
    app.build()
    ran = app.run("compile:Made", "-a", "--format", "json", env=app.env)
    assert really_run(ran) == ["compile:Made"]
    assert spared(ran) == []

    shutil.rmtree(app.path("build"))
    assert really_run(app.build()) == []


def test_namespaces_machines_and_read_only_keep_apart(tmp_path: Path) -> None:
    first, second = (small(Clone(tmp_path / name, tmp_path / "home")) for name in ("first", "second"))
    assert spared(first.build("cache.read_only=true")) == []
    assert not (tmp_path / "home/.cache/lambdabuild/cache").exists()
    shutil.rmtree(first.path("build"))
    first.build()

    assert spared(second.build("cache.namespace=other")) == []
    shutil.rmtree(second.path("build"))
    assert spared(second.build("cache.enabled=false")) == []
    shutil.rmtree(second.path("build"))
    assert really_run(second.build("cache.read_only=true")) == []


def test_no_secret_and_no_place_of_the_machine_is_in_a_cache(tmp_path: Path) -> None:
    app = small(Clone(tmp_path / "project", tmp_path / "home", API_TOKEN="swordfish-2000"))
    app.build()
    app.build("cache.namespace=x")
    content = b""
    for file in (tmp_path / "home/.cache/lambdabuild/cache").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            content += file.name.encode() + data
            for start in range(len(data)):
                if data[start : start + 4] == b"\x28\xb5\x2f\xfd":  # what zstd packed, wherever it begins
                    content += zstd.ZstdDecompressor().decompress(data[start:])

    assert b"requirements" in content
    assert b"swordfish" not in content
    assert str(tmp_path).encode() not in content


def test_what_no_cache_has_any_more_is_made_again(tmp_path: Path) -> None:
    first = small(Clone(tmp_path / "first", tmp_path / "home"))
    second = small(
        Clone(
            tmp_path / "second",
            tmp_path / "other",
            LAMBDABUILD_CACHE__DIR=str(tmp_path / "home/.cache/lambdabuild/cache"),
        )
    )
    first.build()
    assert really_run(second.build()) == []
    for blob in (tmp_path / "home/.cache/lambdabuild/cache/cas").rglob("*"):
        blob.unlink() if blob.is_file() else None
    second.append("packed/app.py", "# edited\n")
    second.append("made/lib/a.py", "# edited\n")
    first.append("packed/app.py", "# edited\n")
    first.append("made/lib/a.py", "# edited\n")
    second.build()
    first.build("cache.enabled=false")

    assert second.zips() == first.zips()
    assert second.build().steps == []


# trouble


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def refusing() -> Iterator[str]:
    """A server that answers everything by 503."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            self.send_error(503)

        do_PUT = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["nobody", "silent", "silent-grpc", "refusing"])
def test_remote_trouble_is_one_warning_within_seconds(kind: str, tmp_path: Path) -> None:
    app = small(Clone(tmp_path / "project", tmp_path / "home"))
    with silent() as quiet, refusing() as broken:
        address = {"nobody": "http://127.0.0.1:9", "silent": f"http://{quiet}", "silent-grpc": f"grpc://{quiet}/main",
                   "refusing": f"http://me:secret@{broken}"}[kind]  # fmt: skip
        began = time.monotonic()
        ran = app.build(f"cache.remotes={address}", "cache.timeout_seconds=1")
        seconds = time.monotonic() - began

    assert ran.err.count("warning") == ran.err.count("warning[LB620]: ") == 1, ran.err
    assert "secret" not in ran.said
    assert ran.summary["warnings"] == [ran.err.replace("warning[LB620]", "LB620").strip()]
    assert seconds < 20
    assert len(app.zips()) == 2
    assert app.build(f"cache.remotes={address}").steps == []


def test_a_server_that_stops_in_the_middle_of_a_build_is_one_warning(tmp_path: Path) -> None:
    app = small(Clone(tmp_path / "project", tmp_path / "home"))
    app.write({"made/Makefile": MAKEFILE.replace("echo made", "sleep 3; echo made")})
    with Reapi() as server:
        process = app.start("build", f"cache.remotes=grpc://127.0.0.1:{server.port}", "-n", "1", env=app.env)
        until = time.monotonic() + 30
        while "GetActionResult" not in server.asked and time.monotonic() < until:
            time.sleep(0.02)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert err.count("warning") == err.count("warning[LB620]: ") == 1, err


# the command


def test_the_cache_is_looked_after_by_a_command(tmp_path: Path) -> None:
    app = small(Clone(tmp_path / "project", tmp_path / "home"))
    app.build()

    def said(*arguments: str, code: int = 0) -> dict:
        ran = app.run("cache", *arguments, "--format", "json", env=app.env)
        assert ran.code == code, ran.said
        return json.loads(ran.out)

    stats = said("stats")
    assert stats["folder"] == str(tmp_path / "home/.cache/lambdabuild/cache")
    assert stats["records"] >= 7
    assert "bytes" in app.run("cache", "stats", env=app.env).out
    assert said("verify")["broken"] == []
    exported = said("export", str(tmp_path / "file.tar"))
    assert exported["records"] == stats["records"]
    other = small(Clone(tmp_path / "other", tmp_path / "elsewhere"))
    assert (
        json.loads(other.run("cache", "import", str(tmp_path / "file.tar"), "--format=json", env=other.env).out)[
            "refused"
        ]
        == []
    )
    assert really_run(other.build()) == []

    blob = max((tmp_path / "home/.cache/lambdabuild/cache/cas").rglob("?" * 64), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"broken" + blob.read_bytes()[6:])
    assert said("verify", code=1)["broken"] == [f"cas/{blob.name[:2]}/{blob.name}"]
    assert said("verify")["broken"] == []
    assert said("gc", "--older-than", "1")["freed_bytes"] == 0
    assert said("gc", "cache.max_size=1 KB")["bytes"] <= 1000
    (tmp_path / "noise").write_bytes(b"noise")
    assert "LB622" in app.run("cache", "import", str(tmp_path / "noise"), env=app.env).err
    assert app.run("cache", "polish", env=app.env).code == 2


def test_a_remote_that_is_none_is_told_before_anything_is_built(tmp_path: Path) -> None:
    app = small(Clone(tmp_path / "project", tmp_path / "home"))
    app.append("lambdabuild.toml", "[cache]\nremotes = ['ftp://there']\n")
    ran = app.run("build", env=app.env)

    assert ran.code == 3
    assert "LB107" in ran.err
    assert "--> lambdabuild.toml:4:1" in ran.err
    assert "unknown setting 'cache.remote'" in app.run("build", "cache.remote=x", env=app.env).err


def test_steps_in_processes_of_their_own_share_the_cache_too(tmp_path: Path) -> None:
    first, second = (small(Clone(tmp_path / name, tmp_path / "home")) for name in ("first", "second"))
    assert first.run("run", "-n", "2", "-P", "process", env=first.env).code == 0
    assert really_run(second.build()) == []
    assert (
        subprocess.run(
            [sys.executable, "-m", "lambdabuild", "cache", "verify"], env=second.environment(second.env), check=False
        ).returncode
        == 0
    )
