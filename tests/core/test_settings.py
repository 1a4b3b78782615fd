"""Settings: a file, then the environment, then the command line; the later wins."""

from __future__ import annotations

import pytest

from lambdabuild.config.loader import RENAMED, load
from lambdabuild.config.settings import Settings
from lambdabuild.config.tables import SourceSettings
from lambdabuild.core.errors import BadSettings, Several
from lambdabuild.core.records import replace


def settings(text: str = "", env: dict[str, str] | None = None, **variables: str) -> Settings:
    return load("lambdabuild.toml", text, env or {}, variables)


def test_the_later_source_wins() -> None:
    text = "bucket = 'file'\nregion = 'file'\nprofile = 'file'\n"
    found = settings(text, {"LAMBDABUILD_REGION": "env", "LAMBDABUILD_PROFILE": "env"}, profile="line")

    assert (found.bucket, found.region, found.profile) == ("file", "env", "line")


def test_every_type_can_be_given_as_text() -> None:
    found = settings(env={"LAMBDABUILD_OFFLINE": "true", "LAMBDABUILD_JOBS": "3", "LAMBDABUILD_EXCLUDE": "a,b"})

    assert (found.offline, found.jobs, found.exclude) == (True, 3, ("a", "b"))
    assert settings(offline="no").offline is False


def test_tables_are_merged_name_by_name() -> None:
    text = "[parameters]\nA = 1\nB = true\n[tags]\nteam = 'x'\n"
    found = load("f", text, {"LAMBDABUILD_TAGS__env": "y"}, {"param.A": "2"})

    assert found.parameters == {"A": "2", "B": "true"}
    assert found.tags == {"team": "x", "env": "y"}


def test_a_function_has_settings_of_its_own() -> None:
    text = "[functions.Orders]\nexclude = ['*.md']\n[functions.Orders.options]\ngroups = ['x']\n[functions.'Child/F']\nbytecode = true\n"
    found = settings(text)

    assert found.of("Orders").exclude == ("*.md",)
    assert found.of("Orders").options == {"groups": ["x"]}
    assert found.of("Child/F").bytecode is True
    assert found.of("Other").exclude == ()


def test_a_source_is_a_table_with_typed_fields_that_knows_its_place() -> None:
    text = "bucket = 'b'\n[sources.app]\npath = 'app'\n[sources.app.tags]\nsize = 1\n[sources.'other one']\n"
    found = settings(text, {"LAMBDABUILD_SOURCES__app__tags__team": "x"})

    assert {name: replace(source, where=None) for name, source in found.sources.items()} == {
        "app": SourceSettings("app", tags={"size": "1", "team": "x"}),
        "other one": SourceSettings(),
    }
    assert [str(one.where) for one in found.sources.values()] == ["lambdabuild.toml:2:2", "lambdabuild.toml:6:2"]
    assert found.needs_no_template
    assert not settings().needs_no_template


def test_a_table_inside_pyproject_is_found() -> None:
    assert (
        load(
            "pyproject.toml", "[tool.lambdabuild]\njobs = 2\n[tool.x]\ny = 1\n", {}, {}, table=("tool", "lambdabuild")
        ).jobs
        == 2
    )


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("buckt = 'x'\n", "1:1", "did you mean 'bucket'"), ("\njobs = 'x'\n", "2:1", "whole number"),
        ("jobs = -1\n", "1:1", "whole number"), ("offline = 'maybe'\n", "1:1", "true or false"), ("bucket = 1\n", "1:1", "quotes"),
        ("exclude = [1]\n", "1:1", "list of texts"), ("format = 'xml'\n", "1:1", "text, json"), ("tags = 'x'\n", "1:1", "table"),
        ("[functions.F]\nexlude = []\n", "2:1", "did you mean 'exclude'"), ("a = = b\n", "1:5", "not TOML"),
        ("prefix = 'x'\n[sources.a]\nprefix = 1\n", "3:1", "quotes"), ("[sources.a]\noverwrite = 'x'\n", "2:1", "true or false"),
        ("[sources.a.tags]\nx = []\n[sources.a]\npaht = 'x'\n", "4:1", "did you mean 'path'"), ("[sources]\na = 1\n", "2:1", "[sources.app]"),
        ("[tags]\npath = 'x'\n[sources.a]\nwhere = 'x'\n", "4:1", "unknown setting"), ("functions = 1\n", "1:1", "functions"), ("[functions]\nF = 1\n", "2:1", "functions"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, place: str, says: str) -> None:
    with pytest.raises(BadSettings) as raised:
        settings(text)

    assert str(raised.value.where[0]) == f"lambdabuild.toml:{place}"
    assert says in str(raised.value)


def test_all_mistakes_are_told_at_once_wherever_they_are() -> None:
    with pytest.raises(Several) as raised:
        settings("buckt = 'x'\n", {"LAMBDABUILD_JOBS": "x"}, reigon="y")

    assert len(raised.value.errors) == 3
    assert "the variable LAMBDABUILD_JOBS" in str(raised.value)


def test_variables_of_others_are_no_settings() -> None:
    assert settings(env={"LAMBDABUILD_RULES_PATH": "/x", "PATH": "/bin"}) == Settings()


def test_a_container_is_set_for_the_project_and_for_one_function() -> None:
    text = """\
use_container = true
image = "all"
[images]
"python3.*" = "python"
[container]
network = "host"
environment = { A = 1, B = "b" }
[functions.Orders]
use_container = "auto"
image = "mine"
[functions.Orders.container]
platform = "linux/arm64"
environment = { B = "mine" }
"""
    found = settings(text, {"LAMBDABUILD_CONTAINER__PULL": "never"}, **{"container.mounts": "~/.netrc,/opt"})

    assert (found.use_container, found.of("Orders").use_container) == ("true", "auto")
    assert found.container_of("Orders") == replace(
        found.container, platform="linux/arm64", environment={"A": "1", "B": "mine"}
    )
    assert found.container.mounts == ("~/.netrc", "/opt")
    assert (found.container.pull, found.container.network) == ("never", "host")
    assert (found.image_of("python3.13"), found.image_of("ruby3.4")) == ("python", "")


@pytest.mark.parametrize("text", ["use_container = 'maybe'", "[container]\npull = 'often'", "[container]\nnetwork = 1",
                                  "[container]\nnets = 'x'", "[functions.A]\ncontainer = 'x'", "[functions.A.container]\nnets = 1"])  # fmt: skip
def test_a_container_is_not_set_to_what_makes_no_sense(text: str) -> None:
    with pytest.raises(BadSettings):
        settings(text)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_hint_of_an_old_name_is_the_new_one(old: str, new: str) -> None:
    for text, environment in ((f"{old} = 'x'", {}), ("", {f"LAMBDABUILD_{old.upper()}": "x"})):
        with pytest.raises(BadSettings) as raised:
            settings(text, environment)
        assert raised.value.help == f"did you mean {new!r}?"


def test_a_function_s_old_name_has_the_same_hint() -> None:
    with pytest.raises(BadSettings) as raised:
        settings("[functions.Orders]\nnative = 'auto'")

    assert raised.value.help == "did you mean 'use_container'?"


def test_the_command_line_says_params_and_options_for_short() -> None:
    found = load("f", "", {}, {"param.Size": "3", "opt.colour": "red"})

    assert (found.parameters, found.serverless_options) == ({"Size": "3"}, {"colour": "red"})
