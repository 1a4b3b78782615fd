"""Secrets that lie in a code folder: what keeps them out of an artifact, and who is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, Sandbox

from lambdabuild.core.errors import BadConfiguration, LambdaBuildError
from lambdabuild.engine.steps.contents.credentials import PRIVATE_KEY, is_credential
from lambdabuild.project import open_project

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" * 4
KEY = f"-----BEGIN PRIVATE KEY-----\n{BODY}-----END PRIVATE KEY-----\n"
CERTIFICATE = KEY.replace("PRIVATE KEY", "CERTIFICATE")
SECRET = [".npmrc", ".env.local", ".env.production", ".aws/credentials", ".netrc", "id_rsa", "deep/id_ed25519", "pip.conf",
          ".pypirc", ".git-credentials", ".docker/config.json", ".env.qa", ".ssh/known", ".pgpass"]  # fmt: skip
HARMLESS = ["app.py", "rds-bundle.pem", "environment.py", "env.json", "npmrc.py", "id_rsa.pub", "docker/config.json"]
LAYER = "  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: src}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    files = dict.fromkeys((*SECRET, *HARMLESS), "x = 1\n") | {"rds-bundle.pem": CERTIFICATE}
    return Sandbox(tmp_path).write(
        {"template.yaml": PLAIN_FUNCTION + LAYER, **{f"src/{name}": text for name, text in files.items()}}
    )


def test_files_that_hold_secrets_are_left_out_and_the_run_that_does_so_says_it(project: Sandbox) -> None:
    ran = project.build()

    assert set(project.names("Orders")) == set(HARMLESS)
    assert set(project.names("Shared")) == set(HARMLESS)
    (note,) = [note for note in ran.summary["notes"] if note.startswith("Orders: ")]
    assert ".aws/" in note
    assert "and 9 more" in note
    assert 'exclude = ["!' in note
    assert ran.summary["warnings"] == []


def test_a_file_that_is_brought_back_by_name_goes_in_without_a_word(project: Sandbox) -> None:
    project.write({"lambdabuild.toml": 'exclude = ["!.npmrc", "!.aws/"]\n'})
    ran = project.build()

    assert {".npmrc", ".aws/credentials"} <= set(project.names("Orders"))
    assert not [warning for warning in ran.summary["warnings"] if ".npmrc" in warning]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tls/server.pem", KEY),
        ("tls/old.key", KEY.replace("PRIVATE KEY", "RSA PRIVATE KEY").replace(
            "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1)),
        ("account.json", '{"private_key": "' + KEY.replace("\n", "\\n") + '"}'),
        ("chain.pem", CERTIFICATE + KEY.replace("PRIVATE", "EC PRIVATE")),
        ("ssh", KEY.replace("PRIVATE", "OPENSSH PRIVATE")),
    ],
)  # fmt: skip
def test_a_private_key_goes_in_and_is_warned_of(project: Sandbox, name: str, text: str) -> None:
    project.write({f"src/{name}": text})
    ran = project.run("build")

    assert name in project.names("Orders")
    assert f"warning: Orders: {name} goes into the artifact and holds a private key" in ran.out
    assert "rds-bundle.pem" not in ran.said


@pytest.mark.parametrize(
    "text",
    [CERTIFICATE, "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    pass\n", KEY.replace("PRIVATE", "PUBLIC"),
     "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "MARKS = ['-----BEGIN RSA PRIVATE KEY-----', 'x']\n"],
)  # fmt: skip
def test_certificates_and_programs_that_read_keys_are_none(text: str) -> None:
    assert not PRIVATE_KEY.search(text.encode())


def test_what_tools_build_from_they_see(project: Sandbox) -> None:
    """Make gets the whole source; only what it makes of it can be wrong."""
    make = "build-Orders:\n\tcp .npmrc seen.txt\n\tcp app.py seen.txt .env.production $(ARTIFACTS_DIR)\n"
    text = PLAIN_FUNCTION.replace("  Orders:\n", "  Orders:\n    Metadata: {BuildMethod: makefile}\n")
    project.write({"template.yaml": text, "src/Makefile": make})
    ran = project.build()

    assert "seen.txt" in project.names("Orders")
    (warning,) = ran.summary["warnings"]
    assert ".env.production" in warning


SERVICE = """\
service: shop
provider: {name: aws, runtime: python3.12}
functions: {orders: {handler: src/app.handler}}
"""


def test_where_the_framework_packs_them_they_are_warned_of(tmp_path: Path) -> None:
    project = Sandbox(tmp_path).write({"serverless.yml": SERVICE, "src/app.py": "", "src/.npmrc": "x", "id_rsa": KEY})
    ran = project.build()
    (zip_file,) = project.zips()

    assert "src/.npmrc" in project.names(zip_file.removesuffix(".zip"))
    assert [warning.split(": ")[1].split()[0] for warning in ran.summary["warnings"]] == ["id_rsa", "src/.npmrc"]


@pytest.mark.parametrize("path", ["a/.aws/credentials", ".aws/", "x/y/.env.local", ".kube/config", "keys/me.ppk"])
def test_names_are_known_at_every_depth(path: str) -> None:
    assert is_credential(path)
    assert not is_credential(path.replace(".", "_").replace("_ppk", ".txt"))


TOKEN = "ghp_topSecret42"


@pytest.mark.parametrize(
    "line",
    [
        "provider: {name: aws, runtime: python3.12, memorySize: '${env:TOKEN}'}",
        "provider: {name: aws, runtime: '${env:TOKEN}'}",
        "provider: {name: '${env:TOKEN}'}",
        "provider: {name: aws, runtime: python3.12, region: 'eu-${env:TOKEN}'}",
        "provider: {name: aws, runtime: python3.12}\npackage: {artifact: '${env:TOKEN}.zip'}",
        "provider: {name: aws, runtime: python3.12}\ncustom: {esbuild: {bundle: '${env:TOKEN}'}}\nplugins: [serverless-esbuild]",
        "provider: {name: aws, runtime: python3.12, timeout: '${strToBool(${env:TOKEN})}'}",
        "provider: {name: aws, runtime: python3.12}\nlayers: {l: {path: '${env:TOKEN}'}}",
    ],
)  # fmt: skip
def test_no_mistake_prints_what_the_environment_holds(tmp_path: Path, line: str) -> None:
    (tmp_path / "serverless.yml").write_text(
        f"service: s\nconfigValidationMode: {'warn' if 'layers' in line else 'error'}\n{line}\n"
        "functions: {a: {handler: a.b, onError: '${env:TOKEN}'}}\n"
    )
    (tmp_path / "a.py").write_text("")
    with pytest.raises(LambdaBuildError) as raised:
        open_project(str(tmp_path), environment={"TOKEN": TOKEN, "PATH": os.environ["PATH"]})

    assert "topSecret" not in str(raised.value)
    assert "topSecret" not in repr(raised.value.as_dict())


def test_words_of_a_few_letters_stay_readable() -> None:
    error = BadConfiguration("the stage 'dev' of ghp_topSecret42 is none", help="say ghp_topSecret42")

    assert error.without({"dev", TOKEN}).message == "the stage 'dev' of *** is none"
