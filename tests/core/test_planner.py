"""Who needs the same bytes, and who the same dependencies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.config.loader import load
from lambdabuild.config.settings import Container, Settings
from lambdabuild.config.tables import Command
from lambdabuild.core.errors import BadSettings, CannotShare, NoManifest, NoRule, NoSource, Several
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Document, Function, Layer, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.engine.steps.kinds import KINDS
from lambdabuild.plan.explain import as_data, as_text
from lambdabuild.plan.planner import manifest_folders, plan
from lambdabuild.plan.rule_choice import Choice
from lambdabuild.plan.steps import steps
from lambdabuild.plan.types import BuildPlan, ContainerKey, PackageLayers, Pinned, Rule, StepClaims
from lambdabuild.rulebook.search import find_rules

SHIPPED = Path(__file__).parents[2] / "rules"
HERE = Span("template.yaml", 3, 3)
PIP = Rule("pip", "/r", "python", "pip", runtimes=("python3.*",), build_methods=("python3.*",), manifests=("requirements.txt",),
           resolve=StepClaims(reads=("manifest",), options=("resolver",)), layer_prefix="python")  # fmt: skip
UV = Rule("uv", "/r", "python", "uv", runtimes=("python3.*",), build_methods=("python3.*",), manifests=("pyproject.toml",),
          lock_files=("uv.lock",), needs_manifest=True, resolve=StepClaims(reads=("manifest",)))  # fmt: skip
MAKE = Rule("make", "/r", "any", "make", build_methods=("makefile",), manifests=("Makefile",), needs_manifest=True,
            needs_name=True, ships_source=False, compile=StepClaims(reads=("source",)))  # fmt: skip
PLAIN = Rule("plain_files", "/r", "none", "none")
PACKAGE = Rule(
    "python_package", "/r", "python", "distribution", ships_source=False, compile=StepClaims(reads=("source",))
)
RULES = (MAKE, PACKAGE, PIP, PLAIN, UV)
NAMES = {"src": frozenset({"requirements.txt"}), "bare": frozenset[str](), "uv": frozenset({"pyproject.toml", "uv.lock"}),
         "both": frozenset({"requirements.txt", "pyproject.toml"}), "make": frozenset({"Makefile"}), ".": frozenset[str](),
         "other": frozenset({"requirements.txt"})}  # fmt: skip


def fn(name: str, source: str = "src", runtime: str = "python3.12", **more: Any) -> Function:
    return Function(name, runtime, more.pop("architecture", "x86_64"), "a.b", source, HERE, **more)


def planned(
    *items: Function | Layer, settings: Settings | None = None, names: Any = None, same: bool = False
) -> BuildPlan:
    functions = tuple(item for item in items if isinstance(item, Function))
    layers = tuple(item for item in items if isinstance(item, Layer))
    service = Service((Document("", "template.yaml", "", False, ()),), functions, layers)

    def identify(choice: Choice) -> str:
        return "equal" if same else choice.manifest

    return plan(service, RULES, names or NAMES, identify, settings or Settings())


def test_functions_that_need_the_same_bytes_are_built_once() -> None:
    built = planned(fn("refunds"), fn("orders"), fn("arm", architecture="arm64"), fn("old", runtime="python3.11"))

    assert [(build.name, build.users) for build in built.builds] == [
        ("arm", ("arm",)), ("old", ("old",)), ("orders", ("orders", "refunds")),
    ]  # fmt: skip


def test_equal_manifests_are_resolved_once_for_each_platform() -> None:
    built = planned(fn("a"), fn("b", "other"), fn("c", architecture="arm64"), same=True)

    assert [(r.name, r.users) for r in built.resolutions] == [("a", ("a", "b")), ("c", ("c",))]
    assert [build.resolution for build in built.builds] == ["a", "a", "c"]


def test_a_function_and_a_layer_share_a_resolution_but_no_build() -> None:
    layer = Layer("layer", "x86_64", "src", HERE, build_method="python3.12")
    built = planned(fn("a"), layer)

    assert [(r.name, r.users) for r in built.resolutions] == [("a", ("a", "layer"))]
    assert len(built.builds) == 2


def test_a_distribution_is_installed_once_for_all_that_have_it_and_a_source_names_it() -> None:
    settings = load("f", "[sources.app]\npath = 'uv'\n[functions.a]\npackaged = true\n[functions.b]\npackaged = true\n"
                    "[functions.c]\nsource = 'app'\n[functions.d]\nsource = 'app'\nsource_version = '1.0.0'\n", {}, {})  # fmt: skip
    built = planned(
        fn("a", "uv"), fn("b", "uv", "python3.11"), fn("c", "nowhere"), fn("d", "nowhere"), settings=settings
    )

    assert [(package.name, package.key.source, package.users) for package in built.packages] == [
        ("app", "uv", ("a", "app", "b"))
    ]
    assert [(build.name, build.users, build.package) for build in built.builds] == [
        ("a", ("a",), "app"), ("app", ("app", "c"), "app"), ("b", ("b",), "app"),
    ]  # fmt: skip
    assert [build.group(user) for build in built.builds for user in build.users] == [
        "build",
        "source",
        "build",
        "build",
    ]
    assert built.pinned == (Pinned("d", "app", "1.0.0"),)
    assert [sizes.function for sizes in built.sizes] == ["a", "b", "c"]
    assert "source:app  is published as source/VERSION/source.zip" in as_text(built, steps(built, KINDS))


def test_who_needs_its_name_shares_nothing() -> None:
    built = planned(fn("a", "make", build_method="makefile"), fn("b", "make", build_method="makefile"))

    assert [build.users for build in built.builds] == [("a",), ("b",)]
    assert all(build.compiles for build in built.builds)


@pytest.mark.parametrize(("source", "rule"), [("src", "pip"), ("bare", "pip"), ("uv", "uv"), ("both", "pip")])
def test_the_manifest_in_the_code_folder_chooses_the_rule(source: str, rule: str) -> None:
    assert planned(fn("a", source)).builds[0].key.rule == rule


def test_a_lock_file_goes_before_a_manifest_without_one() -> None:
    names = NAMES | {"both": frozenset({"requirements.txt", "pyproject.toml", "uv.lock"})}

    assert planned(fn("a", "both"), names=names).builds[0].key.rule == "uv"


def test_a_manifest_is_looked_for_in_the_code_folder_then_at_the_root_then_beside_the_template() -> None:
    settings = Settings(code_root="root")
    names = NAMES | {"root": frozenset({"requirements.txt"}), ".": frozenset({"requirements.txt"})}

    assert planned(fn("a"), settings=settings, names=names).builds[0].key.manifest == "src/requirements.txt"
    assert planned(fn("a", "bare"), settings=settings, names=names).builds[0].key.manifest == "root/requirements.txt"
    assert planned(fn("a", "bare"), names=names).builds[0].key.manifest == "requirements.txt"


def test_settings_of_a_function_override_everything() -> None:
    mine = FunctionSettings(rule="pip", manifest="other/requirements.txt", exclude=("*.md",), resolver="pip")
    build = planned(fn("a", "uv"), settings=Settings(functions={"a": mine})).builds[0]

    assert (build.key.rule, build.key.manifest) == ("pip", "other/requirements.txt")
    assert build.key.leave_out[-1] == "*.md"
    assert dict(build.key.options) == {"resolver": '"pip"'}


def test_a_manifest_of_another_name_is_taken_by_the_rule_of_its_kind() -> None:
    names = NAMES | {"src": frozenset({"prod.txt", "prod.toml"})}
    for manifest, rule in (("src/prod.txt", "pip"), ("src/prod.toml", "uv")):
        settings = Settings(functions={"a": FunctionSettings(manifest=manifest)})
        assert planned(fn("a"), settings=settings, names=names).builds[0].key.rule == rule


def test_a_layer_without_a_method_is_plain_files() -> None:
    assert planned(Layer("l", "x86_64", "src", HERE)).builds[0].key.rule == "plain_files"


@pytest.mark.parametrize(
    ("item", "error", "text"),
    [
        (fn("a", runtime="pyhton3.12"), NoRule, "did you mean"),
        (fn("a", build_method="makefil"), NoRule, "did you mean 'makefile'"),
        (fn("a", "nowhere"), NoSource, "nowhere/"),
        (fn("a", "bare", build_method="makefile"), NoManifest, "Makefile"),
    ],
)
def test_what_cannot_be_planned_is_told_with_its_place(item: Function, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        planned(item)

    assert raised.value.where == (HERE,)  # type: ignore[attr-defined]


def test_all_functions_that_cannot_be_planned_are_told_at_once() -> None:
    with pytest.raises(Several) as raised:
        planned(fn("a", "nowhere"), fn("b", runtime="x"), fn("c"))

    assert len(raised.value.errors) == 2


def test_settings_about_nobody_and_an_unknown_rule_are_mistakes() -> None:
    with pytest.raises(BadSettings, match="did you mean 'orders'"):
        planned(fn("orders"), settings=Settings(functions={"ordres": FunctionSettings()}))
    with pytest.raises(NoRule, match="did you mean 'pip'"):
        planned(fn("orders"), settings=Settings(functions={"orders": FunctionSettings(rule="pi")}))


def test_the_planner_says_which_folders_it_wants_to_know() -> None:
    service = Service((Document("", "app/template.yaml", "", False, ()),), (fn("a"),), ())
    settings = Settings(code_root="root", functions={"a": FunctionSettings(manifest="deep/requirements.txt")})

    assert manifest_folders(service, settings) == {"src", "deep", "root", "app"}


def test_sizes_know_the_layers_that_count_together() -> None:
    layer = Layer("l", "x86_64", "src", HERE)
    built = planned(fn("a", layers=("l",), foreign_layers=2), layer)

    assert [(s.function, s.layers, s.layer_count) for s in built.sizes] == [("a", ("l",), 3)]


@given(st.permutations([fn("a"), fn("b"), fn("c", "bare"), fn("d", "uv"), Layer("l", "x86_64", "src", HERE)]))
def test_the_order_of_a_template_never_matters(items: list[Function | Layer]) -> None:
    assert planned(*items) == planned(*sorted(items, key=lambda item: item.name))


def test_a_plan_can_be_printed_for_people_and_machines() -> None:
    built = planned(fn("a"), fn("b"))

    assert json.loads(json.dumps(as_data(built)))["builds"][0]["users"] == ["a", "b"]
    assert "shared by b" in as_text(built, steps(built, KINDS))
    assert "resolve:a -> copy:a -> zip:a" in as_text(built, steps(built, KINDS))


def test_where_something_stands_is_not_part_of_what_makes_builds_the_same() -> None:
    assert len(planned(fn("a"), replace(fn("b"), where=Span("t", 9, 9), handler="x.y")).builds) == 1


def test_the_shipped_rules_claim_what_their_readmes_say() -> None:
    rules = find_rules([str(SHIPPED)])

    assert {rule.name for rule in rules} == {folder.parent.name for folder in SHIPPED.glob("*/example")}
    for rule in rules:
        folder = Path(rule.folder)
        assert (folder / "README.md").read_text().startswith(f"# {rule.name}")
        assert (folder / "example").is_dir()
        assert (folder / "test_rule.py").exists()
        program = (rule.entry,) if isinstance(rule.entry, str) else rule.entry[1:]
        assert all((folder / name).exists() for name in program)


def test_a_function_has_its_own_image_else_the_runtimes_else_the_build_image_of_aws() -> None:
    own = {"own": FunctionSettings(image="mine"), "file": FunctionSettings(dockerfile="./docker/Dockerfile"),
           "not": FunctionSettings(use_container="false"), "x86": FunctionSettings(container={"platform": "linux/amd64"})}  # fmt: skip
    built = planned(
        *(fn(name, architecture="arm64") for name in own), fn("other", source="other", runtime="python3.13"), fn("old", runtime="python3.11"),
        settings=Settings(use_container="auto", images={"python3.11": "old"}, functions=own),
    )  # fmt: skip
    resolved = {resolution.name: resolution.key.container for resolution in built.resolutions}

    assert resolved["own"].image == "mine"
    assert (resolved["file"].image, resolved["file"].dockerfile) == ("", "docker/Dockerfile")
    assert resolved["not"] == ContainerKey()
    assert resolved["old"].image == "old"
    assert resolved["x86"].platform == "linux/amd64"
    assert resolved["other"].image == "public.ecr.aws/sam/build-python3.13:latest-x86_64"
    assert resolved["other"].mode == "auto"


def test_what_a_container_is_given_is_in_no_plan() -> None:
    secret = Settings(use_container="true", container=Container(environment={"TOKEN": "s3cret"}))

    assert "s3cret" not in repr(planned(fn("orders"), settings=secret))
    assert planned(fn("orders"), settings=secret) != planned(fn("orders"), settings=Settings(use_container="true"))


def test_a_layer_without_a_runtime_must_name_its_image() -> None:
    with pytest.raises(BadSettings, match="has no runtime"):
        planned(
            Layer("tools", "x86_64", "make", HERE, "makefile"),
            settings=Settings(use_container="true", commands={"tools": Command("make")}),
        )


SHARING = replace(
    PIP, package_layers=PackageLayers(hidden_by=("PYTHONPATH",)), runtime_prefix="lib/{runtime}/site-packages"
)


def sharing(*functions: Function, settings: Settings | None = None) -> BuildPlan:
    service = Service((Document("", "template.yaml", "", False, ()),), functions, ())
    rules = (PLAIN, SHARING, replace(PLAIN, name="node", runtimes=("nodejs*",), manifests=("requirements.txt",)))
    return plan(service, rules, NAMES, lambda choice: choice.manifest, settings or Settings(auto_layers=True))


def test_functions_whose_packages_may_lie_in_layers_say_where_and_in_how_many() -> None:
    found = sharing(fn("A", foreign_layers=3), fn("B", "other"), fn("C", "bare")).layer_candidates

    assert [(one.build, one.quota, one.group.prefix) for one in found] == [
        ("A", 2, "python/lib/python3.12/site-packages"),
        ("B", 5, "python/lib/python3.12/site-packages"),
    ]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (fn("A", foreign_layers=5), "5 layers"), (fn("A", environment=("PYTHONPATH",)), "PYTHONPATH"),
        (fn("A", fixed_layers="its Layers are an alias"), "alias"), (fn("A", runtime="nodejs22.x"), "rule node"),
    ],
)  # fmt: skip
def test_a_function_that_cannot_share_is_told_and_refused_when_it_was_named(function: Function, reason: str) -> None:
    found = sharing(function)

    assert found.layer_candidates == ()
    assert reason in found.notes[0]
    named = Settings(functions={"A": FunctionSettings(auto_layers=True)})
    with pytest.raises(CannotShare, match=reason):
        sharing(function, settings=named)


def test_without_auto_layers_nobody_shares_and_one_can_share_or_not_by_name() -> None:
    off = {"A": FunctionSettings(auto_layers=False)}

    assert sharing(fn("A"), settings=Settings()).layer_candidates == ()
    assert [
        one.build
        for one in sharing(fn("A"), fn("B"), settings=Settings(auto_layers=True, functions=off)).layer_candidates
    ] == ["B"]
