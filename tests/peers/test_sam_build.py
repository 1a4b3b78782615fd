"""`sam build` of the same template: the same functions, the same files, but for differences that have a name here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sam_cli import python_with_pip, sam
from sandbox import Sandbox, sample_app

__all__ = ["sam"]
pytestmark = pytest.mark.slow

DIFFERENCES = {
    "dist-info/RECORD": "it lists what an installer wrote; what is left out would make it wrong",
    "requirements.txt": "nothing reads it in Lambda, and a comment in it must not upload anything",
    "pyproject.toml": "the same, of a project",
    "uv.lock": "sam build writes it into the source (BuildMethod python-uv)",
    "package-lock.json": "npm's own notes: nothing reads them in Lambda",
    "python_uv": "sam build installs nothing for a pyproject.toml without the beta method python-uv",
}
"""Every known difference in the files, with its reason."""


@pytest.fixture(scope="module")
def built(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sandbox, Path]:
    """The sample app built by both."""
    place = tmp_path_factory.mktemp("peers")
    ours, theirs = (
        sample_app(place / "ours", in_all_languages=False),
        sample_app(place / "theirs", in_all_languages=False),
    )
    pythons = place / "pythons"
    pythons.mkdir()
    wrapper = pythons / "python3.11"
    wrapper.write_text(f'#!/bin/sh\nexec "{python_with_pip()}" "$@"\n')
    wrapper.chmod(0o755)
    ours.build()
    env = {
        "PATH": f"{pythons}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    ran = theirs.command([str(sam), "build"], env=env)
    assert ran.code == 0, ran.said
    return ours, theirs.path(".aws-sam/build")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def known(name: str) -> bool:
    return any(name == end or name.endswith(("/" + end, "." + end)) for end in DIFFERENCES)


def importable(names: set[str]) -> set[str]:
    return {name for name in names if name.endswith((".py", ".so", ".js", ".mjs", ".cjs", ".json"))}


FUNCTIONS = ["CreateOrder", "GetOrder", "RefundOrder", "PrintLabel", "WriteInvoice", "SendReceipt", "TermsOfSale",
             "Notifications/NotifyCustomer"]  # fmt: skip


def test_both_find_the_same_functions(built: tuple[Sandbox, Path]) -> None:
    ours, theirs = built
    found = {name for name in FUNCTIONS if (theirs / name).is_dir()}

    assert found == set(ours.manifest["functions"])


@pytest.mark.parametrize("name", [*FUNCTIONS, "SharedLayer"])
def test_both_put_the_same_files_into_an_artifact(name: str, built: tuple[Sandbox, Path]) -> None:
    ours, theirs = built
    mine, peers = files(ours.path(f"build/{name}").resolve()), files(theirs / name)
    differing = {file for file in mine ^ peers if not known(file)}
    if name == "WriteInvoice":
        assert not {file for file in differing if not file.startswith("tabulate")}, DIFFERENCES["python_uv"]
        return

    assert differing == set()
    assert importable({file for file in mine if not known(file)}) == importable(
        {file for file in peers if not known(file)}
    )


def test_the_files_have_the_same_content(built: tuple[Sandbox, Path]) -> None:
    ours, theirs = built
    for name in set(FUNCTIONS) - {"WriteInvoice"}:
        mine = ours.path(f"build/{name}").resolve()
        for file in files(mine) & files(theirs / name):
            # npm pack, which SAM CLI goes through, writes package.json anew.
            if file != "package.json":
                assert (mine / file).read_bytes() == (theirs / name / file).read_bytes(), f"{name}: {file}"


def test_the_built_templates_name_the_same_places(built: tuple[Sandbox, Path]) -> None:
    ours, theirs = built
    from lambdabuild.frontends.sam import reader
    from lambdabuild.project_files import ProjectFiles

    def places(folder: Path, name: str) -> dict[str, str]:
        service = reader.load(name, ProjectFiles(str(folder)))
        return {function.name: os.path.realpath(folder / function.source) for function in service.functions}

    mine = places(ours.path("build"), "built-template.yaml")
    peers = places(theirs, "template.yaml")
    for name in peers:
        owner = os.path.realpath(ours.path(f"build/{name}"))
        assert mine[name] == owner
        assert peers[name] == os.path.realpath(theirs / name)
