"""Templates as text: what is read, and where each value stands."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.core.errors import BrokenYaml, DuplicateKey, Several
from lambdabuild.core.spans import Node
from lambdabuild.frontends.intrinsics import to_data
from lambdabuild.frontends.yaml_text import parse, parse_any


def read(text: str, file: str = "template.yaml") -> Node:
    return parse(file, text)[0]


def at(node: Node, *path: str | int) -> Node:
    for key in path:
        assert isinstance(node.value, dict | list)
        node = node.value[key]  # type: ignore[index]
    return node


def written(text: str, node: Node) -> str:
    return text[node.span.start : node.span.end]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_value_knows_its_place(newline: str) -> None:
    text = "A:\n  B: ./src   # a comment\n  C: [1, 'zwei', é]\n  D:\n    E: !Sub x\n".replace("\n", newline)
    root = read(text)

    assert written(text, at(root, "A", "B")) == "./src"
    assert written(text, at(root, "A", "C", 1)) == "'zwei'"
    assert written(text, at(root, "A", "C")) == "[1, 'zwei', é]"
    assert written(text, at(root, "A", "D")) == "E: !Sub x"
    assert str(at(root, "A", "D", "E").span) == "template.yaml:5:8"
    assert str(at(root, "A").keys["C"]) == "template.yaml:3:3"


def test_a_block_scalar_ends_with_its_last_character() -> None:
    text = "A: >\n  folded\n  text\n\n# comment\nB: 1\n"

    assert written(text, at(read(text), "A")) == ">\n  folded\n  text"
    assert at(read(text), "A").value == "folded text\n"


def test_short_tags_become_their_long_form() -> None:
    root = read("A: !Ref x\nB: !GetAtt f.Arn\nC: !If [a, !Sub '${b}', 1]\nD: !Condition c\nE: !GetAtt [f, Arn]\n")

    assert to_data(root) == {
        "A": {"Ref": "x"}, "B": {"Fn::GetAtt": ["f", "Arn"]}, "C": {"Fn::If": ["a", {"Fn::Sub": "${b}"}, 1]},
        "D": {"Condition": "c"}, "E": {"Fn::GetAtt": ["f", "Arn"]},
    }  # fmt: skip


def test_scalars_are_what_cloudformation_takes_them_for() -> None:
    root = read("a: 2010-09-09\nb: 012345678901\nc: yes\nd: 12:30\ne: 1.5\nf: ~\ng: '1'\nh: 0x1F\ni: -3\nj: !!str 7\n")

    assert to_data(root) == {"a": "2010-09-09", "b": "012345678901", "c": True, "d": "12:30", "e": 1.5, "f": None,
                             "g": "1", "h": 31, "i": -3, "j": "7"}  # fmt: skip


def test_an_alias_has_the_anchors_value_and_a_place_of_its_own() -> None:
    text = "A: &code ./src\nB: *code\n"
    root = read(text)

    assert at(root, "B").value == "./src"
    assert written(text, at(root, "A")) == "&code ./src"
    assert written(text, at(root, "B")) == "*code"


def test_merged_keys_are_known_as_inherited_and_own_keys_win() -> None:
    root = read("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 0\n")

    assert to_data(at(root, "z")) == {"a": 0, "b": 2, "c": 4}
    assert at(root, "z").inherited == {"b", "c"}


def test_a_key_written_twice_is_told_with_both_places_and_all_of_them_at_once() -> None:
    with pytest.raises(Several) as raised:
        read("A:\n  x: 1\n  x: 2\nB: 1\nA: 2\n")

    assert [[str(span) for span in error.where] for error in raised.value.errors] == [
        ["template.yaml:2:3", "template.yaml:3:3"], ["template.yaml:1:1", "template.yaml:5:1"],
    ]  # fmt: skip
    with pytest.raises(DuplicateKey):
        read('{"a": 1, "a": 2}', "template.json")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "1:1"), ("# nothing\n", "1:1"), ("- a\n", "1:1"), ("text\n", "1:1"), ("a: [1\n", "2:1"),
        ("a: b: c\n", "1:5"), ("a: *x\n", "1:4"), ("a: &x [*x]\n", "1:8"), ("a: 1\n---\nb: 2\n", "2:1"),
        ("? [a]\n: 1\n", "1:3"), ("a:\n\tb: 1\n", "2:1"), ("a: \x01\n", "1:4"), ("!Sub x\n", "1:1"),
    ],
)  # fmt: skip
def test_what_is_no_template_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(BrokenYaml) as raised:
        read(text)

    assert str(raised.value.where[0]) == f"template.yaml:{place}"
    assert raised.value.help


@pytest.mark.parametrize(
    ("text", "place"),
    [('{"a": 1,}', "1:9"), ('{"a" 1}', "1:6"), ('{\n "a": tru}', "2:7"), ('{"a": "x', "1:7"), ('{"a": 1} x', "1:10")],
)
def test_broken_json_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(BrokenYaml) as raised:
        read(text, "template.json")

    assert str(raised.value.where[0]) == f"template.json:{place}"


def test_json_may_be_indented_with_tabs_and_hold_any_character() -> None:
    text = '\ufeff{\n\t"a": {"b": "\\ud83d\\ude00 \\/"},\n\t"c": [true, null, -1.5e3, []]\n}\n'
    root, is_json = parse("template.json", text)

    assert is_json
    assert to_data(root) == {"a": {"b": "😀 /"}, "c": [True, None, -1500.0, []]}
    assert written(text, at(root, "a", "b")) == '"\\ud83d\\ude00 \\/"'


def test_json_is_known_by_its_content_too() -> None:
    assert parse("app.template", '{"a": 1}')[1]
    assert not parse("app.template", "{a: 1}")[1]
    assert not parse("app.yaml", '{"a": 1}')[1]


def test_deep_nesting_is_told() -> None:
    with pytest.raises(BrokenYaml, match="deep"):
        read("a: " + "[" * 5000 + "]" * 5000)


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcXYZ", min_size=1, max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)
MAPPINGS = st.dictionaries(st.text("abcXYZ", min_size=1, max_size=6), DATA, min_size=1, max_size=5)


@given(MAPPINGS)
def test_what_was_printed_as_json_is_read_as_it_was(data: dict) -> None:
    assert to_data(read(json.dumps(data, indent=1), "t.json")) == data
    assert to_data(read(json.dumps(data, ensure_ascii=False), "t.json")) == data


@given(MAPPINGS, st.booleans())
def test_what_was_printed_as_yaml_is_read_as_it_was(data: dict, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)

    assert to_data(read(text)) == data


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A: !!float x\n", "not a value of type float"),
        ("A: !!int 3.x\n", "not a value of type int"),
        ("A: [1, !!bool perhaps]\n", "not a value of type bool"),
        ("A: !!int 1" + "0" * 5000 + "\n", "5001 characters"),
        ("A: -1" + "7" * 5000 + "\n", "5002 characters"),
        ("A: 0x" + "f" * 5000 + "\n", "5002 characters"),
        ("A: 1" + "0" * 5000 + ".5\n", "5003 characters"),
    ],
)
def test_a_number_that_nobody_can_read_is_told_with_its_place(text: str, says: str) -> None:
    for core_schema in (False, True):
        with pytest.raises(BrokenYaml, match=says) as caught:
            parse("template.yaml", text, core_schema=core_schema)
        assert caught.value.where[0].line == 1


@pytest.mark.parametrize(
    "text",
    ['{"A": "\\ud800"}', '{"\\udfff": 1}', '{"A": ["\\udc00\\ud800"]}', '{"A": 1' + "0" * 5000 + "}", "[" * 200],
    ids=["a value", "a key", "swapped halves", "digits", "levels"],
)
def test_json_that_cannot_be_written_again_is_told(text: str) -> None:
    with pytest.raises(BrokenYaml, match=r"half a character|characters|levels"):
        parse_any("x.json", text)


def test_whole_characters_written_in_halves_are_read() -> None:
    assert at(parse("t.json", '{"A": "\\ud83d\\ude00"}')[0], "A").value == "\N{GRINNING FACE}"


def test_yaml_s_own_tags_still_give_values() -> None:
    root = read("A: !!int '3'\nB: !!float 1\nC: !!bool 'yes'\nD: !!null ''\nE: !!str 1\nF: !!float .inf\n")
    assert to_data(root) == {"A": 3, "B": 1.0, "C": True, "D": None, "E": "1", "F": float("inf")}


def _levels_of_ten(levels: int, many: str) -> str:
    lines = ["A0: &a0 {x: y}"]
    lines += [f"A{n}: &a{n} {many.replace('_', f'*a{n - 1}')}" for n in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        _levels_of_ten(9, "[" + ",".join("_" * 10) + "]"),
        _levels_of_ten(9, "{" + ", ".join(f"k{n}: _" for n in range(10)) + "}"),
        "A: &a {" + ", ".join(f"k{n}: 1" for n in range(3000)) + "}\nB:\n" + "- {<<: *a}\n" * 3000,
        f"A: &a '{'x' * 1_000_000}'\nB:\n" + "- *a\n" * 3000,
    ],
    ids=["lists", "mappings", "merges", "texts"],
)
def test_aliases_that_would_repeat_without_end_are_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BrokenYaml, match="aliases repeat more than"):
        read(text)
    assert time.process_time() - began < 2


def test_aliases_cannot_nest_deeper_than_what_is_written() -> None:
    lines = ["A0: &a0 [[[[[[[[[[x]]]]]]]]]]"]
    lines += [f"A{n}: &a{n} [[[[[[[[[[*a{n - 1}]]]]]]]]]]" for n in range(1, 12)]
    with pytest.raises(BrokenYaml, match="levels deep"):
        read("\n".join(lines))


def test_many_merges_of_small_mappings_are_read_in_linear_time() -> None:
    began = time.process_time()
    root = read("A:\n  <<: [" + ", ".join(f"{{k{n}: {n}}}" for n in range(20_000)) + "]\n")
    assert len(to_data(root)["A"]) == 20_000
    assert time.process_time() - began < 4
