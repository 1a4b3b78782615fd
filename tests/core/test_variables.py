"""Variables: the grammar, what resolves to what, and how mistakes are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.core.errors import (
    BadVariable,
    CircularVariable,
    LambdaBuildError,
    MissingVariable,
    Several,
    SourceFailed,
    UnknownSource,
)
from lambdabuild.core.spans import to_data
from lambdabuild.frontends.serverless.variables import grammar
from lambdabuild.frontends.serverless.variables.resolver import Resolver
from lambdabuild.frontends.serverless.variables.sources import sources
from lambdabuild.frontends.yaml_text import parse, parse_any


class Memory:
    """A world of dicts; ``asked`` counts what was asked of AWS."""

    def __init__(self, files: Mapping[str, str] | None = None, aws: Mapping[str, Any] | None = None) -> None:
        self.files, self.answers = dict(files or {}), dict(aws or {})
        self.asked: list[str] = []
        self.options: dict[str, str] = {"stage": "dev"}
        self.params: dict[str, str] = {"given": "p"}

    def stage(self) -> str:
        return "dev"

    def region(self) -> str:
        return "eu-west-1"

    def variable(self, name: str) -> str | None:
        return {"HOME": "/home"}.get(name)

    def text(self, path: str) -> str | None:
        return self.files.get(path)

    def nodes(self, path: str) -> Any:
        return parse_any(path, self.files[path]) if path in self.files else None

    def javascript(self, path: str, address: str, ask: Callable[[str, Any], Any]) -> Any:
        return ask("variable", "self:a") if path in self.files else None

    def git(self, what: str) -> str | None:
        return {"branch": "main"}.get(what)

    def aws(self, service: str, region: str, name: str) -> Any:
        self.asked.append(f"{service} {region} {name}")
        return self.answers.get(f"{service} {name}")


def resolved(text: str, world: Memory | None = None, unneeded: tuple[str, ...] = ()) -> dict[str, Any]:
    world = world or Memory()
    root, _ = parse("serverless.yml", text, core_schema=True)
    return to_data(Resolver(root, sources(world, world)).whole(unneeded))


def value(written: str, more: str = "", world: Memory | None = None) -> Any:
    """What ``x: written`` is."""
    return resolved(f"x: {written}\n{more}", world)["x"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${self:a}", "A"),
        ("${self:b.c.1}", 2),
        ("${self:b}", {"c": [1, 2], "d": "A"}),
        ("${self:b.${self:name}}", "A"),
        ("'${self:a}-${self:b.c.0}-${self:yes}'", "A-1-true"),
        ("\"${self:none, 'x'}\"", "x"),
        ("'${self:none, 3}'", 3),
        ("'${self:none, 1.50}'", 1.5),
        ("'${self:none, true}'", True),
        ("'${self:none, null}'", None),
        ("'${self:none, self:null, self:a}'", "A"),
        ("'${opt:stage}-${sls:stage}-${aws:region}-${aws:partition}'", "dev-dev-eu-west-1-aws"),
        ("'${env:HOME}'", "/home"),
        ("\"${env:NONE, ''}\"", ""),
        ("'${param:given}'", "p"),
        ("'${strToBool(${self:yes})}'", True),
        ("'${git:branch}'", "main"),
        ("'${AWS::Region} ${Name} ${} $x {y} ${self}'", "${AWS::Region} ${Name} ${} $x {y} ${self}"),
        ("'${Foo.${self:a}}'", "${Foo.A}"),
        ("'\\${self:a}'", "${self:a}"),
        ("'\\\\${self:a}'", "\\A"),
        ("'${self:twice}'", "A"),
        ("'${file(a.yml):b.c}'", "A"),
        ("'${file(a.yml)}'", {"b": {"c": "A"}}),
        ("'${file(./deep/../a.yml):b.c}'", "A"),
        ("'${file(a.txt)}'", "text of A"),
        ("'${file(none.yml), self:a}'", "A"),
        ("'${file(a.js)}'", "A"),
    ],
)
def test_a_variable_is_what_it_stands_for(written: str, expected: Any) -> None:
    more = (
        "a: A\nb: {c: [1, 2], d: '${self:a}'}\nname: d\nyes: true\nnull: ~\ntwice: '${self:once}'\nonce: '${self:a}'\n"
    )
    files = {"a.yml": "b: {c: '${self:a}'}", "a.txt": "text of ${self:a}", "a.js": ""}
    assert value(written, more, Memory(files)) == expected


@pytest.mark.parametrize(
    ("written", "kind", "words"),
    [
        ("'${self:none}'", MissingVariable, "x: ${self:none} has no value"),
        ("'${opt:a, env:NONE}'", MissingVariable, "asked: opt, env"),
        ("'${slef:a}'", UnknownSource, "did you mean self:?"),
        ("'${self:a'", BadVariable, "the closing } is missing"),
        ("'${opt:a, ${self:b}}'", BadVariable, "without its own ${}"),
        ("'a${self:m}'", BadVariable, "cannot be used inside text"),
        ("'${sls:nothing}'", SourceFailed, "sls:stage"),
        ("'${strToBool(maybe)}'", SourceFailed, "true, false, 1 or 0"),
        ("'${file()}'", SourceFailed, "no file is named"),
        ("'${cf:stack}'", SourceFailed, "cf:stack.OutputName"),
        ("'${self:x}'", CircularVariable, "x -> x"),
    ],
)
def test_a_mistake_says_which_variable_where_and_how_to_mend_it(written: str, kind: type, words: str) -> None:
    with pytest.raises(kind) as caught:
        value(written, "m: {}\n")
    assert words in str(caught.value)
    assert "at serverless.yml:1:4" in str(caught.value)
    assert caught.value.help


def test_a_circle_is_shown_whole() -> None:
    with pytest.raises(LambdaBuildError) as caught:
        resolved("a: '${self:b.c}'\nb: {c: '${self:d}'}\nd: 'x${self:a}'\n")
    assert "a -> b.c -> d -> a" in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(Several) as caught:
        resolved("a: '${env:ONE}'\nb: '${env:TWO}'\nc: {d: ['${env:THREE}']}\n")
    assert len(caught.value.errors) == 3
    assert "c.d.0: ${env:THREE}" in str(caught.value)


def test_a_mistake_in_what_others_refer_to_is_told_once() -> None:
    with pytest.raises(MissingVariable):
        resolved("a: '${env:ONE}'\nb: '${self:a}'\nc: '${self:a}'\n")


def test_a_value_that_is_always_a_variable_again_comes_to_an_end() -> None:
    with pytest.raises(LambdaBuildError) as caught:
        resolved("a: '${file(a.txt)}'", Memory({"a.txt": "x${file(a.txt)}"}))
    assert "more than 10 times" in str(caught.value)


def test_the_network_is_asked_once_lazily_and_only_for_what_is_needed() -> None:
    world = Memory(aws={"ssm /a": {"Type": "String", "Value": "v"}})
    text = "x: ['${ssm:/a}', '${self:custom.a}', \"${self:custom.b, ssm:/b, 'c'}\"]\ncustom: {a: '${ssm:/a}', b: 1, unused: '${ssm:/no}'}\n"
    found = resolved(text, world, ("custom",))
    assert found["x"] == ["v", "v", 1]
    assert found["custom"]["unused"] == "${ssm:/no}"
    assert world.asked == ["ssm eu-west-1 /a"] * 2  # Outside asks each once


def test_params_of_the_stage_go_before_the_default_ones() -> None:
    params = "params: {default: {a: 1, b: 2}, dev: {b: 3, given: 4}}\nstages: {default: {params: {c: 5}}}\n"
    assert value("['${param:a}', '${param:b}', '${param:c}', '${param:given}']", params) == [1, 3, 5, "p"]


PLAIN = st.text(st.characters(blacklist_characters="$\\\r", blacklist_categories=("Cs",)))


@given(PLAIN)
def test_text_without_a_variable_is_itself(text: str) -> None:
    assert "".join(map(str, grammar.parse(text))) == text


@given(st.lists(st.sampled_from(["${self:a}", "${AWS::X}", "\\${self:a}", "text", "${opt:b, 'c'}", "}", "{", "$"])))
def test_parsing_keeps_every_part_in_its_order(parts: list[str]) -> None:
    written = " ".join(parts)
    found = "".join(part if isinstance(part, str) else part.text for part in grammar.parse(written))
    assert found == written.replace("\\${", "${")


@given(st.text("${}self:opt,()'\"\\ ab.", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        grammar.parse(text)
    except BadVariable as error:
        assert error.help


@pytest.mark.parametrize(
    "files",
    [
        {"serverless.yml": "custom: {x: '${file(./serverless.yml)}'}"},
        {
            "serverless.yml": "custom: {x: '${file(a.yml)}'}",
            "a.yml": "k: ['${file(b.yml)}']",
            "b.yml": "z: '${file(a.yml)}'",
        },
        {"serverless.yml": "custom: {x: '${file(a.json)}'}", "a.json": '{"k": {"l": "${file(a.json):k}"}}'},
        {"serverless.yml": "custom: ['${file(a.yml)}', 1]", "a.yml": "- 1\n- - ${file(./a.yml)}\n"},
    ],
)
def test_a_file_that_brings_itself_in_is_a_circle(files: dict[str, str]) -> None:
    with pytest.raises(LambdaBuildError, match="brings in what holds it, without end"):
        resolved(files["serverless.yml"], Memory(files))


def test_parts_of_the_file_itself_may_be_named() -> None:
    text = "custom: {x: '${file(./serverless.yml):custom.y}', y: {z: 1}}\nw: ${file(serverless.yml):custom.x.z, 2}\n"
    assert resolved(text, Memory({"serverless.yml": text}))["custom"]["x"] == {"z": 1}


@pytest.mark.parametrize("link", ["${self:v_}", "a${self:v_}", "${self:none, self:v_}", "${self:v${self:n_}}"])
def test_a_chain_of_a_thousand_variables_is_followed(link: str) -> None:
    lines = [f"v{n}: {link.replace('_', str(n + 1))}\nn{n + 1}: '{n + 1}'" for n in range(1000)]
    assert str(resolved("\n".join(lines) + "\nv1000: end\n")["v0"]).endswith("end")


def test_a_circle_of_a_thousand_variables_is_told() -> None:
    lines = [f"v{n}: ${{self:v{(n + 1) % 1000}}}" for n in range(1000)]
    with pytest.raises(LambdaBuildError, match="LB20"):
        resolved("\n".join(lines))


@pytest.mark.parametrize("level", ["'${self:v_}${self:v_}${self:v_}${self:v_}'", "['${self:v_}', '${self:v_}', '${self:v_}', '${self:v_}']",
                                   "{a: '${self:v_}', b: '${self:v_}', c: '${self:v_}', d: '${self:v_}'}"])  # fmt: skip
def test_variables_that_multiply_one_another_are_refused(level: str) -> None:
    lines = [f"v{n}: {level.replace('_', str(n + 1))}" for n in range(16)]
    with pytest.raises(BadVariable, match="bring in more than"):
        resolved("\n".join(lines) + "\nv16: text\n")


@pytest.mark.parametrize(
    "text",
    ["${" + "$" * 300_000, "${a" + "\\" * 300_000, "${A} " * 60_000, "${self:" * 30_000, "${self:a, '" * 20_000,
     "${strToBool('x')}" * 20_000, "x" * 300_000 + "${self:a, 1" * 2],
)  # fmt: skip
def test_long_texts_are_parsed_in_linear_time(text: str) -> None:
    began = time.process_time()
    try:
        grammar.parse(text)
    except BadVariable as error:
        assert len(error.message) < 2000
    assert time.process_time() - began < 3
