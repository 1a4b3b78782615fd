"""Package indexes that want credentials: each way to give them, by the real tools, and none is ever kept or told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_wheels import make_wheel
from private_index import PrivateIndex, PrivateRegistry
from sandbox import Sandbox

pytestmark = pytest.mark.slow

LAYER = "[layers.deps]\nmanifest = '{}'\nruntimes = ['python3.12']\n"
BIN = str(Path(sys.executable).parent)
SHOP = "shop-111122223333.d.codeartifact.eu-west-1.amazonaws.com"
SIMPLE = f"http://{SHOP}/pypi/python/simple"
UV_PROJECT = "[project]\nname = 'app'\nversion = '1'\nrequires-python = '>=3.12'\ndependencies = ['mod']\n"


def environment(project: Sandbox, **more: str) -> dict[str, str]:
    """Nothing of this machine's caches, home or indexes."""
    return {
        "UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "PIP_FIND_LINKS": "", "HOME": str(project.folder / "home"),
        "XDG_CACHE_HOME": str(project.folder / "cache"), **more,
    }  # fmt: skip


def built(project: Sandbox, index: PrivateIndex, env: dict[str, str], *arguments: str) -> None:
    """The layer has the package, and no file of ours or line of output has the password."""
    ran = project.run("build", *arguments, env=env)
    assert ran.code == 0, ran.said
    assert "python/mod.py" in project.names("deps")
    assert any("/files/" in path for path in index.asked)
    unseen(project, index, ran.said)


def unseen(project: Sandbox, index: PrivateIndex, said: str) -> None:
    assert index.password not in said
    kept = [path for folder in ("build", "cache") for path in project.path(folder).rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        assert index.password.encode() not in path.read_bytes(), path


@pytest.fixture
def wheels(project: Sandbox) -> Path:
    (project.folder / "home").mkdir()
    make_wheel(project.path("wheels"), "mod", "1.5")
    return project.path("wheels")


def test_a_named_index_of_a_pyproject_with_a_lock(project: Sandbox, wheels: Path) -> None:
    with PrivateIndex(wheels) as index:
        named = f"[[tool.uv.index]]\nname = 'corp'\nurl = 'http://{index.host}/simple'\ndefault = true\n"
        project.write({"lambdabuild.toml": LAYER.format("pyproject.toml"), "pyproject.toml": UV_PROJECT + named})
        env = environment(project, UV_INDEX_CORP_USERNAME=index.user, UV_INDEX_CORP_PASSWORD=index.password)
        built(project, index, env)
        locked = project.command([f"{BIN}/uv", "lock", "--python", sys.executable], env=env)
        if "requires-python" not in locked.err:  # an older Python here cannot lock for a newer one
            assert locked.code == 0, locked.err
            built(project, index, env)


def test_an_index_that_only_the_environment_names(project: Sandbox, wheels: Path) -> None:
    with PrivateIndex(wheels) as index:
        project.write({"lambdabuild.toml": LAYER.format("requirements.txt"), "requirements.txt": "mod\n"})
        name = {"UV_INDEX": f"corp=http://{index.host}/simple", "UV_INDEX_CORP_USERNAME": index.user}
        built(project, index, environment(project, UV_INDEX_CORP_PASSWORD=index.password, **name))


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_a_password_in_the_keyring(resolver: str, project: Sandbox, wheels: Path) -> None:
    with PrivateIndex(wheels) as index:
        project.write({
            "lambdabuild.toml": LAYER.format("requirements.txt"),
            "requirements.txt": f"--index-url http://{index.user}@{index.host}/simple\nmod\n",
            "home/.config/python_keyring/keyringrc.cfg": "[backend]\ndefault-keyring=keyrings.alt.file.PlaintextKeyring\n",
        })  # fmt: skip
        (project.folder / "bin").mkdir()
        (project.folder / "bin/keyring").symlink_to(f"{BIN}/keyring")  # pip asks no keyring of its own environment
        path = f"{project.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = environment(project, UV_KEYRING_PROVIDER="subprocess", PIP_KEYRING_PROVIDER="subprocess", PATH=path)
        kept = subprocess.run(
            [f"{BIN}/keyring", "set", index.host, index.user],
            env=project.environment(env), input=index.password, text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert kept.returncode == 0, kept.stderr
        built(project, index, env, f"resolver={resolver}")


@pytest.mark.parametrize(
    ("where", "resolver"),
    [("in the file", "uv"), ("in the file", "pip"), ("by AWS's variable", "uv"), ("PIP_INDEX_URL", "pip"),
     ("PIP_INDEX_URL", "uv"), ("uv.toml", "uv"), ("Pipfile", "uv")],
)  # fmt: skip
def test_a_token_of_codeartifact_is_asked_for(where: str, resolver: str, project: Sandbox, wheels: Path) -> None:
    """The index is behind a proxy on loopback, as its host is CodeArtifact's; so is the service that gives tokens."""
    with PrivateIndex(wheels, "aws", "t0ken-._") as index:
        lines = {"in the file": f"--index-url {SIMPLE}/\n"}
        lines["by AWS's variable"] = f"--index-url http://aws:${{CODEARTIFACT_AUTH_TOKEN}}@{SHOP}/pypi/python/simple/\n"
        manifest = "Pipfile" if where == "Pipfile" else "requirements.txt"
        project.write({"lambdabuild.toml": LAYER.format(manifest), "requirements.txt": lines.get(where, "") + "mod\n"})
        if where == "uv.toml":
            project.write({"uv.toml": f"[[index]]\nurl = '{SIMPLE}/'\ndefault = true\n"})
        if where == "Pipfile":
            project.write({"Pipfile": f"[[source]]\nname = 'shop'\nurl = '{SIMPLE}/'\n\n[packages]\nmod = '*'\n"})
        env = environment(
            project, HTTP_PROXY=f"http://{index.host}", http_proxy=f"http://{index.host}", NO_PROXY="127.0.0.1",
            no_proxy="127.0.0.1", AWS_ENDPOINT_URL_CODEARTIFACT=f"http://{index.host}", AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing", PIP_TRUSTED_HOST=SHOP, **({where: SIMPLE} if where.isupper() else {}),
        )  # fmt: skip
        built(project, index, env, f"resolver={resolver}")

        assert index.tokens == ["/v1/authorization-token?domain=shop&domain-owner=111122223333"]
        assert project.run("build", f"resolver={resolver}", env=env).out.startswith("nothing to do")
        assert len(index.tokens) == 1, "with nothing to do none is asked for"


def test_without_rights_to_a_token_the_way_out_is_told(project: Sandbox, wheels: Path) -> None:
    with PrivateIndex(wheels, "aws", "t0ken") as index:
        line = f"--index-url {SIMPLE}/\nmod\n"
        project.write({"lambdabuild.toml": LAYER.format("requirements.txt"), "requirements.txt": line})
        env = environment(
            project, AWS_ENDPOINT_URL_CODEARTIFACT=f"http://{index.host}", AWS_ACCESS_KEY_ID="other",
            AWS_SECRET_ACCESS_KEY="other",
        )  # fmt: skip
        ran = project.run("build", env=env)

    assert ran.code == 1
    assert "LB612]: CodeArtifact gives no token for the domain shop of 111122223333" in ran.err
    assert "codeartifact:GetAuthorizationToken" in ran.err


@pytest.mark.parametrize("where", ["_authToken", "CodeArtifact"])
def test_npm_is_given_its_registrys_token(where: str, project: Sandbox) -> None:
    """A token of the user's by a variable in .npmrc; one of CodeArtifact's without any word of it."""
    (project.folder / "home").mkdir()
    with PrivateRegistry(project.folder, "t0ken-._") as registry:
        registry.shown = SHOP if where == "CodeArtifact" else registry.host
        place = f"//{registry.shown}/npm/repo/"
        lines = [f"registry=http:{place}", "fetch-retries=0", "update-notifier=false"]
        lines += [place + ":_authToken=${CORP_TOKEN}"] if where == "_authToken" else []
        package = {"name": "deps", "version": "1.0.0", "dependencies": {"mod": "1.5.0"}}
        project.write({
            "lambdabuild.toml": LAYER.format("package.json").replace("python3.12", "nodejs22.x"),
            "package.json": json.dumps(package), ".npmrc": "\n".join(lines) + "\n",
        })  # fmt: skip
        proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy"), f"http://{registry.host}")
        env = environment(
            project, AWS_ENDPOINT_URL_CODEARTIFACT=f"http://{registry.host}", AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", **proxy,
        )  # fmt: skip
        ran = project.run("build", env=env | ({"CORP_TOKEN": registry.password} if where == "_authToken" else {}))

        assert ran.code == 0, ran.said
        assert len(registry.tokens) == (where == "CodeArtifact")
        unseen(project, registry, ran.said)
    assert "nodejs/node_modules/mod/package.json" in project.names("deps")
