"""Functions that settings describe and no template has: what they are, and what is wrong with a table."""

from __future__ import annotations

import pytest

from lambdabuild.config.loader import load
from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Document, Function, Service, Skipped
from lambdabuild.core.spans import Span
from lambdabuild.frontends.settings_only import functions_of

NOBODY = Service((), (), ())


def settings(text: str, **variables: str) -> Settings:
    return load("lambdabuild.toml", text, {}, variables)


def functions(text: str, service: Service = NOBODY, **variables: str) -> tuple[Function, ...]:
    return functions_of(settings(text, **variables), service)


def mistakes(text: str, service: Service = NOBODY) -> list[str]:
    with pytest.raises(LambdaBuildError) as caught:
        functions(text, service)
    errors = getattr(caught.value, "errors", (caught.value,))
    assert {error.code for error in errors} == {"LB107"}
    return [error.message for error in errors]


ORDERS = '[functions.Orders]\npath = "src/orders"\nruntime = "python3.13"\n'


def test_a_table_describes_a_function_in_full() -> None:
    text = ORDERS + 'handler = "app.handler"\narchitecture = "arm64"\nbuild_method = "makefile"\n'
    (function,) = functions(text)
    assert function == Function(
        "Orders", "python3.13", "arm64", "app.handler", "src/orders", function.where, "makefile", from_settings=True
    )
    assert (function.where.file, function.where.line) == ("lambdabuild.toml", 1)


def test_what_functions_have_in_common_is_said_once_and_a_function_says_otherwise() -> None:
    text = '[functions."*"]\nruntime = "python3.13"\narchitecture = "arm64"\n'
    text += '[functions.A]\npath = "a"\n[functions.B]\npath = "b/"\nruntime = "nodejs22.x"\n'
    assert [(one.name, one.runtime, one.architecture, one.source) for one in functions(text)] == [
        ("A", "python3.13", "arm64", "a"), ("B", "nodejs22.x", "arm64", "b"),
    ]  # fmt: skip


def test_settings_for_all_functions_are_below_those_of_one() -> None:
    text = '[functions."*"]\nexclude = ["*.md"]\nslim = true\n[functions.A]\nexclude = ["!keep.md"]\nslim = false\n'
    merged = settings(text).merged_over({}, ("A", "B"))
    assert merged.of("A").exclude == ("*.md", "!keep.md")
    assert (merged.of("A").slim, merged.of("B").slim, merged.of("a layer").slim) == (False, True, None)


def test_a_function_may_be_described_on_the_command_line_alone() -> None:
    described = {"functions.A.path": "a", "functions.A.runtime": "python3.13"}
    assert [one.name for one in functions("", **described)] == ["A"]
    assert settings("", **described).needs_no_template


@pytest.mark.parametrize(
    ("text", "needs_none"),
    [
        (ORDERS, True),
        ('[functions."*"]\nruntime = "python3.13"\n', False),
        ('[functions."*"]\npath = "."\nruntime = "python3.13"\n[functions.A]\n', True),
        ('[functions.Orders]\nexclude = ["*.md"]\n', False),
    ],
)
def test_a_project_needs_no_template_when_a_table_says_what_a_function_is(text: str, needs_none: bool) -> None:
    assert settings(text).needs_no_template is needs_none


LAYERS = '[layers.deps]\npath = "deps"\narchitectures = ["arm64", "x86_64"]\n[layers.tools]\npath = "tools"\n'


def test_layers_are_those_of_the_functions_architecture_and_arns_are_counted() -> None:
    arn = "arn:aws:lambda:eu-west-1:111122223333:layer:x:3"
    (function,) = functions(ORDERS + f'architecture = "arm64"\nlayers = ["deps", "{arn}"]\n' + LAYERS)
    assert (function.layers, function.foreign_layers) == (("deps-arm64",), 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[functions.A]\nruntime = "python3.13"\n', "[functions.A] has no path, and no template has this function"),
        ('[functions.A]\npath = "a"\n', "[functions.A] has no runtime, and no template has this function"),
        (ORDERS.replace("Orders", '"a/b"'), "a function cannot be called 'a/b'"),
        (ORDERS.replace("Orders", "a" * 65), f"a function cannot be called '{'a' * 65}'"),
        (ORDERS + 'layers = ["dep"]\n' + LAYERS, "[functions.Orders] names the layer 'dep', which does not exist"),
        (
            ORDERS + 'architecture = "arm64"\nlayers = ["tools"]\n' + LAYERS,
            "function 'Orders' is for arm64, but its layer 'tools' is not",
        ),
    ],
)
def test_a_mistake_in_a_table_is_named(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_all_mistakes_are_named_at_once() -> None:
    assert len(mistakes("[functions.A]\nhandler = 'a.b'\n[functions.'b c']\nhandler = 'a.b'\n")) == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [("architecture", "sparc"), ("runtme", "python3.13"), ("layers", 3), ("handler", 3)],
)
def test_a_value_of_the_wrong_kind_has_its_place(key: str, value: object) -> None:
    with pytest.raises(LambdaBuildError) as caught:
        settings(f"{ORDERS}{key} = {value!r}\n")
    assert caught.value.code == "LB107"
    assert caught.value.where[0].line == 4


TEMPLATE = Service(
    (Document("", "template.yaml", "", False, ()),),
    (Function("Orders", "python3.12", "x86_64", "app.handler", "src", Span("template.yaml", 3)),),
    (),
    skipped=(Skipped("Ready", "its code is in S3 already", Span("template.yaml", 9)),),
)


def test_a_function_of_the_template_is_refined_and_not_described_again() -> None:
    assert functions('[functions.Orders]\nexclude = ["*.md"]\n', TEMPLATE) == ()
    assert mistakes('[functions.Orders]\nruntime = "python3.13"\npath = "x"\n', TEMPLATE) == [
        "'Orders' is in the template, which sets its path",
        "'Orders' is in the template, which sets its runtime",
    ]
    assert mistakes('[functions.Ready]\npath = "x"\n', TEMPLATE) == ["'Ready' is in the template, which sets its path"]


def test_beside_a_template_a_table_describes_another_function_only_if_it_says_so_itself() -> None:
    text = '[functions."*"]\npath = "."\nruntime = "python3.13"\n[functions.Ordres]\n[functions.More]\npath = "more"\n'
    assert [one.name for one in functions(text, TEMPLATE)] == ["More"]
