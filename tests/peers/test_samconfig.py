"""samconfig.toml: what `sam build` and `sam package` take from it, and what lambdabuild does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from sam_cli import sam
from sandbox import Sandbox

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.project_settings import read_settings

__all__ = ["sam"]

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
  Size: {Type: String, Default: "1"}
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src, Handler: app.handler, Runtime: python3.12}
"""
HEAD = "version = 0.1\n"
BUILD, PACKAGE, GLOBAL = (
    "[default.build.parameters]\n",
    "[default.package.parameters]\n",
    "[default.global.parameters]\n",
)
BUCKET = PACKAGE + 's3_bucket = "artifacts"\n'

FILES: dict[str, tuple[str, str, list[str]]] = {
    "nothing": ("samconfig.toml", HEAD, []),
    "everything of package": (
        "samconfig.toml",
        HEAD + BUCKET + 's3_prefix = "p/q"\nregion = "eu-west-1"\nprofile = "shop"\nkms_key_id = "key-1"\n',
        [],
    ),
    "what all commands have": ("samconfig.toml", HEAD + GLOBAL + 'region = "eu-west-1"\ns3_bucket = "all"\n', []),
    "a command over all": (
        "samconfig.toml", HEAD + GLOBAL + 'region = "eu-west-1"\n' + BUCKET + 'region = "us-east-1"\n', [],
    ),
    "another environment": (
        "samconfig.toml", HEAD + BUCKET + '[prod.package.parameters]\ns3_bucket = "prod"\n', ["--config-env", "prod"],
    ),
    "another file": ("conf/sam.toml", HEAD + BUCKET, ["--config-file", "conf/sam.toml"]),
    "YAML": ("samconfig.yaml", "version: 0.1\ndefault:\n  package:\n    parameters:\n      s3_bucket: artifacts\n", []),
    "yml": ("samconfig.yml", "version: 0.1\ndefault:\n  global:\n    parameters: {region: eu-west-1, s3_bucket: b}\n", []),
    "parameters in short": ("samconfig.toml", HEAD + BUILD + 'parameter_overrides = "Stage=prod Size=3"\n', []),
    "parameters in full": (
        "samconfig.toml",
        HEAD + BUILD + 'parameter_overrides = "ParameterKey=Stage,ParameterValue=prod ParameterKey=Size,ParameterValue=3"\n',
        [],
    ),
    "parameters with blanks": (
        "samconfig.toml", HEAD + BUILD + "parameter_overrides = 'Stage=\"a b\" Size=3'\n", [],
    ),
    "parameters as a list": (
        "samconfig.toml", HEAD + BUILD + 'parameter_overrides = ["Stage=prod", "Size=3", "Stage=later"]\n', [],
    ),
    "parameters as a table": (
        "samconfig.toml",
        HEAD + '[default.build.parameters.parameter_overrides]\nStage = "prod"\nSize = 3\nFlag = true\nMany = ["a", "b"]\n',
        [],
    ),
    "a word that no parameter has": ("samconfig.toml", HEAD + BUILD + 'parameter_overrides = "Stage=x y"\n', []),
    "flags": ("samconfig.toml", HEAD + BUILD + "use_container = true\ncached = true\nparallel = true\n", []),
    "a flag in words": ("samconfig.toml", HEAD + BUILD + 'use_container = "yes"\n', []),
    "a key with a dash": ("samconfig.toml", HEAD + BUILD + "use-container = true\n", []),
    "a base folder": ("samconfig.toml", HEAD + BUILD + 'base_dir = "code"\n', []),
    "images of builds": (
        "samconfig.toml", HEAD + BUILD + 'use_container = true\nbuild_image = ["all:1", "Fn=own:2"]\n', [],
    ),
    "one image": ("samconfig.toml", HEAD + BUILD + 'use_container = true\nbuild_image = "all:1"\n', []),
    "variables of containers": (
        "samconfig.toml", HEAD + BUILD + 'use_container = true\ncontainer_env_var = ["A=1", "Fn.B=2"]\n', [],
    ),
    "repositories of images": (
        "samconfig.toml",
        HEAD + PACKAGE + 's3_bucket = "b"\nimage_repositories = ["Fn=1.dkr.ecr.eu-west-1.amazonaws.com/x"]\n',
        [],
    ),
    "another template": ("samconfig.toml", HEAD + GLOBAL + 'template_file = "other.yaml"\ns3_bucket = "b"\n', []),
    "a command that is not read": ("samconfig.toml", HEAD + '[default.sync.parameters]\nregion = "eu-west-1"\n', []),
}  # fmt: skip


@pytest.fixture(scope="module")
def taken(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict]]:
    """Each file's folder, and what SAM takes from it."""
    top = tmp_path_factory.mktemp("samconfig")
    folders = {}
    for number, (name, (file, text, _)) in enumerate(FILES.items()):
        project = Sandbox(top / str(number)).write({file: text, "template.yaml": TEMPLATE, "other.yaml": TEMPLATE})
        project.write({"src/app.py": "", "code/src/app.py": ""})
        folders[name] = project.folder
    Sandbox(top).write({"aws": "[profile shop]\nregion = eu-west-1\n"})
    asked = [[str(folder), *FILES[name][2]] for name, folder in folders.items()]
    script = Path(__file__).with_name("sam_arguments.py")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SAM_"))}
    said = subprocess.run(
        [sam.with_name("python"), script], input=json.dumps(asked), capture_output=True, text=True, check=True,
        env={**environment, "SAM_CLI_TELEMETRY": "0", "AWS_CONFIG_FILE": str(top / "aws")},
    )  # fmt: skip
    answers = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
    return {name: (folder, answer) for (name, folder), answer in zip(folders.items(), answers, strict=True)}


def settings(folder: Path, options: list[str]) -> Settings:
    names = [name.removeprefix("--").replace("-", "_") for name in options[::2]]
    return read_settings(str(folder), {}, dict(zip(names, options[1::2], strict=True)))


@pytest.mark.parametrize("name", FILES)
def test_a_build_takes_what_sam_build_takes(taken: dict[str, tuple[Path, dict]], name: str) -> None:
    folder, answer = taken[name]
    ours, theirs = settings(folder, FILES[name][2]), answer["build"]
    assert theirs["code"] == 0
    assert ours.parameters == theirs["parameter_overrides"]
    assert os.path.normpath(folder / (ours.template or "template.yaml")) == theirs["template_file"]
    assert ours.code_root == (theirs["base_dir"] or "")
    assert ours.use_container == str(bool(theirs["use_container"])).lower()
    images = dict(
        reversed(image.partition("=")[::2]) if "=" in image else (image, "") for image in theirs["build_image"]
    )
    assert {ours.image: ""} == {image: name for image, name in images.items() if not name} or not images
    assert all(ours.of(name).image == image for image, name in images.items() if name)
    variables = dict(text.split("=") for text in theirs["container_env_var"])
    own = {f"{fn}.{name}": value for fn in ours.functions
           for name, value in ours.of(fn).container.get("environment", {}).items()}  # fmt: skip
    assert {**ours.container.environment, **own} == variables


@pytest.mark.parametrize("name", [name for name in FILES if "bucket" in FILES[name][1]])
def test_an_upload_takes_what_sam_package_takes(taken: dict[str, tuple[Path, dict]], name: str) -> None:
    folder, answer = taken[name]
    ours, theirs = settings(folder, FILES[name][2]), answer["package"]
    assert theirs["code"] == 0
    wanted = ("s3_bucket", "s3_prefix", "region", "profile", "kms_key_id", "image_repository")
    assert [ours.bucket, ours.prefix, ours.region, ours.profile, ours.kms_key_id, ours.repository] == [
        theirs[key] or "" for key in wanted
    ]
    repositories = dict(theirs["image_repositories"] or {})
    assert {name: own.repository for name, own in ours.functions.items()} == repositories


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default.build.parameters]\n", "has no version"),
        ("version = 1\n", "the version of samconfig.toml is 1"),
        ("version = 0.1\n[default", "cannot read samconfig.toml"),
        (HEAD + BUILD + 'parameter_overrides = "A="\n', "a parameter has no value"),
        (HEAD + BUILD + 'parameter_overrides = "nothing"\n', "it has no NAME=VALUE"),
        (HEAD + BUILD + "parameter_overrides = 3\n", "parameters are a text or a table"),
        (HEAD + BUILD + 'parameter_overrides = "file://missing.yaml"\n', "missing.yaml"),
        (HEAD + BUILD + "use_container = 3\n", "it is neither true nor false"),
        (HEAD + BUILD + "build_image = [3]\n", "it is not a list of texts"),
        (HEAD + PACKAGE + "s3_bucket = []\n", "it is not a text"),
        (HEAD + PACKAGE + 'image_repositories = "x"\n', "it is no list of FUNCTION=URI"),
        (HEAD + PACKAGE + 'image_repositories = "Fx=uri"\n', "about a function that the template does not have"),
    ],
)
def test_a_mistake_is_an_error_with_its_place_and_nothing_built_is_lost(
    tmp_path: Path, text: str, message: str
) -> None:
    project = Sandbox(tmp_path / "project").write({"template.yaml": TEMPLATE, "src/app.py": "X = 1\n"})
    project.build()
    before = project.zips()
    project.write({"samconfig.toml": text})
    ran = project.run()
    assert ran.code == 3, ran.said
    assert "error[LB107]" in ran.err
    assert message in ran.err
    assert "help:" in ran.err
    assert project.zips() == before


def test_an_environment_that_does_not_exist_is_an_error_and_a_slip_a_note(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "project").write({"template.yaml": TEMPLATE, "src/app.py": "X = 1\n"})
    project.write({"samconfig.toml": HEAD + BUILD + "use-container = true\nstack_name = 'x'\n"})
    assert "samconfig.toml:3:1: SAM knows no 'use-container'" in project.run().out
    ran = project.run("--config-env", "defualt")
    assert (ran.code, "did you mean 'default'?" in ran.err) == (3, True)


def test_files_with_parameters_are_read_and_watched(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "project").write({"template.yaml": TEMPLATE.replace("src", "!Sub 'src-${Stage}'")})
    project.write({"src-a/app.py": "A = 1\n", "src-b/app.py": "B = 2\n", "more.yaml": "Stage: a\n"})
    project.write({"samconfig.toml": HEAD + BUILD + 'parameter_overrides = "file://more.yaml"\n'})
    project.build()
    first = project.zips()
    assert "nothing to do" in project.run().out
    project.write({"more.yaml": "Stage: b\n"})
    project.build()
    assert project.zips() != first
    project.write({"samconfig.toml": HEAD + '[default.build.parameters.parameter_overrides]\n"$include" = "file://more.yaml"\nStage = "a"\n'})  # fmt: skip
    project.build()
    assert project.zips() == first


def test_lambdabuild_toml_takes_precedence(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "project").write({"template.yaml": TEMPLATE, "src/app.py": ""})
    project.write({"samconfig.toml": HEAD + BUCKET, "lambdabuild.toml": 'bucket = "ours"\n'})
    assert settings(project.folder, []).bucket == "ours"
    project.write({"lambdabuild.toml": 'config_file = "none"\n'})
    assert settings(project.folder, []).bucket == ""
    project.write({"lambdabuild.toml": 'config_file = "missing.toml"\n'})
    with pytest.raises(LambdaBuildError) as caught:
        settings(project.folder, [])
    assert caught.value.code == "LB107"


def test_it_is_not_for_a_serverless_yml(tmp_path: Path) -> None:
    service = "service: shop\nprovider: {name: aws}\nfunctions: {a: {handler: app.handler, runtime: python3.12}}\n"
    project = Sandbox(tmp_path / "project").write({"serverless.yml": service, "samconfig.toml": HEAD + BUCKET})
    assert settings(project.folder, []).bucket == ""
