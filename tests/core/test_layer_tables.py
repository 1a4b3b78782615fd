"""[layers.NAME] tables: what is built of them, with whom they share it, and what is published."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_planner import PIP, PLAIN, fn

from lambdabuild.config.settings import Settings
from lambdabuild.config.tables import LayerSettings
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import About, Layer, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.plan.layers.tables import layers_of
from lambdabuild.plan.planner import plan
from lambdabuild.plan.types import BuildPlan
from lambdabuild.rulebook.search import find_rules

RULE = replace(PIP, runtime_prefix="lib/{runtime}", slim=("tests/",), provided=("/boto3/",))
NAMES = {
    "src": frozenset({"requirements.txt"}),
    ".": frozenset({"requirements.txt"}),
    "": frozenset({"requirements.txt"}),
}
TWO = ("python3.12", "python3.13")


def planned(*functions, settings: Settings, layers: tuple[Layer, ...] = ()) -> BuildPlan:
    service = Service((), functions, layers)
    service = replace(service, layers=(*layers, *layers_of(settings, service)))
    return plan(service, (RULE, PLAIN), NAMES, lambda choice: "equal", settings)


def deps(**more) -> Settings:
    return Settings(layers={"deps": LayerSettings(manifest="requirements.txt", **more)})


def test_a_layer_for_two_runtimes_has_two_resolutions_and_shares_each_with_whoever_needs_it() -> None:
    settings = replace(deps(runtimes=TWO), functions={"app": FunctionSettings()})
    built = planned(fn("app", runtime="python3.13"), settings=settings)

    assert [(one.name, one.key.runtime, one.users) for one in built.resolutions] == [
        ("app", "python3.13", ("app", "deps")), ("deps", "python3.12", ("deps",)),
    ]  # fmt: skip
    assert built.build_of("deps").resolutions == ("deps", "app")
    alone = planned(settings=deps(runtimes=TWO))
    assert [one.name for one in alone.resolutions] == ["deps", "deps-python3.13"]


def test_each_architecture_is_a_build_and_all_are_one_publication() -> None:
    settings = deps(
        runtimes=TWO[:1], architectures=("x86_64", "arm64"), name="shop", accounts=("111122223333",), public=True
    )
    built = planned(settings=settings)

    assert [(one.name, one.key.architecture) for one in built.builds] == [
        ("deps-arm64", "arm64"), ("deps-x86_64", "x86_64"),
    ]  # fmt: skip
    [published] = built.publications
    assert (published.name, published.layer_name) == ("deps", "shop")
    assert dict(zip(published.layers, published.architectures, strict=True)) == {
        "deps-x86_64": ("x86_64",), "deps-arm64": ("arm64",),
    }  # fmt: skip
    assert published.accounts == ("*", "111122223333")
    assert settings.of("deps-arm64") is settings.of("deps")


def test_of_a_manifest_alone_nothing_of_its_folder_is_shipped_unless_it_is_named() -> None:
    out = planned(settings=deps(runtimes=TWO, exclude=("!own.py",))).build_of("deps").key.leave_out

    assert out[-2:] == ("*", "!own.py")


def test_lists_of_the_rule_come_before_ones_own_patterns_for_functions_too() -> None:
    own = FunctionSettings(exclude_dependencies=("!/kept/tests/",), slim=False)
    settings = Settings(
        slim=True, exclude_provided=True, strip=True, exclude_dependencies=("*.md",), functions={"b": own}
    )
    built = planned(fn("a"), fn("b"), settings=settings)

    assert built.build_of("a").key.leave_out_dependencies == ("tests/", "/boto3/", "*.md")
    assert built.build_of("b").key.leave_out_dependencies == ("/boto3/", "*.md", "!/kept/tests/")
    assert built.build_of("a").key.strip


def test_the_template_says_what_is_published_and_a_table_overrides_it() -> None:
    about = About("words", "of the template", "MIT", ("arm64",), ("111122223333",))
    layer = Layer("Words", "arm64", "src", Span("template.yaml"), runtimes=("python3.12",), about=about)
    nested = replace(layer, name="Child/Words", about=About())
    settings = Settings(layers={"Words": LayerSettings(license="Apache-2.0", organizations=("o-t194hfs8cz",), keep=3)})
    built = planned(settings=settings, layers=(layer, nested))

    child, words = built.publications
    assert (words.layer_name, words.description, words.license) == ("words", "of the template", "Apache-2.0")
    assert (words.accounts, words.organizations, words.keep) == (("111122223333",), ("o-t194hfs8cz",), 3)
    assert words.architectures == (("arm64",),)
    assert (child.name, child.layer_name, child.architectures) == ("Child/Words", "Child-Words", ((),))


@pytest.mark.parametrize(
    ("rule", "runtime", "folder"),
    [
        ("python_pip", "python3.13", "python/lib/python3.13/site-packages"),
        ("python_uv", "python3.9", "python/lib/python3.9/site-packages"),
        ("nodejs_npm", "nodejs22.x", "nodejs/node22"),
        ("nodejs_pnpm", "nodejs20.x", "nodejs/node20"),
        ("ruby_bundler", "ruby3.4", "ruby/."),  # what it resolves lies in gems/3.4.0 already
    ],
)
def test_of_several_runtimes_each_has_the_folder_that_lambda_looks_in(rule: str, runtime: str, folder: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html"""
    shipped = {one.name: one for one in find_rules([str(Path(__file__).parents[2] / "rules")])}

    assert f"{shipped[rule].layer_prefix}/{shipped[rule].runtime_folder(runtime)}" == folder
