"""Errors as people read them: the source line, a caret, the help; and no secret."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from lambdabuild.core.diagnostics import WIDTH, render, source_reader, wants_color
from lambdabuild.core.errors import BadFunction, DuplicateKey, LambdaBuildError, NoRule, Several, ToolFailed
from lambdabuild.core.spans import Span
from lambdabuild.frontends.yaml_text import parse

TEMPLATE = """\
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/orders/
"""


def read(path: str) -> str:
    return {"template.yaml": TEMPLATE, ".env": "KEY: value\n"}[path]


def span_of(text: str, part: str, file: str = "template.yaml") -> Span:
    start = text.index(part)
    line = text.count("\n", 0, start) + 1
    return Span(file, line, start - (text.rfind("\n", 0, start) + 1) + 1, start, start + len(part))


def shown(error: LambdaBuildError, text: str = TEMPLATE) -> str:
    return render(error, lambda path: text)


def carets(text: str) -> list[str]:
    """What each row of carets underlines."""
    rows = text.splitlines()
    return [rows[at - 1][row.index("^") : row.rindex("^") + 1] for at, row in enumerate(rows) if row.endswith("^")]


def test_an_error_shows_its_source_line_with_the_value_underlined() -> None:
    where = span_of(TEMPLATE, "src/orders/")
    error = NoRule(
        "no rule builds function 'orders' (python3.12)", where=where, help="add requirements.txt to src/orders/"
    )

    assert render(error, read) == (
        "error[LB301]: no rule builds function 'orders' (python3.12)\n"
        "  --> template.yaml:5:16\n"
        "   |\n"
        " 5 |       CodeUri: src/orders/\n"
        "   |                ^^^^^^^^^^^\n"
        "  help: add requirements.txt to src/orders/"
    )


def test_the_span_of_a_parsed_value_underlines_that_value() -> None:
    root, _ = parse("template.yaml", TEMPLATE)
    node = root.get("Resources").get("Orders").get("Properties").get("CodeUri")  # type: ignore[union-attr]
    assert node is not None

    assert carets(shown(NoRule("x", where=node.span))) == ["src/orders/"]


def test_every_place_of_an_error_is_shown() -> None:
    places = (span_of(TEMPLATE, "Orders"), span_of(TEMPLATE, "CodeUri"))

    assert carets(render(DuplicateKey("twice", where=places), read)) == ["Orders", "CodeUri"]


def test_the_last_lines_of_a_tool_stand_before_the_help() -> None:
    error = ToolFailed("make failed", tail="line 1\nline 2", help="run make")

    assert render(error, read) == "error[LB502]: make failed\n  | line 1\n  | line 2\n  help: run make"


def test_a_warning_is_printed_like_an_error() -> None:
    text = render(DuplicateKey("twice", where=span_of(TEMPLATE, "Type")), read, level="warning")

    assert text.startswith("warning[LB103]: twice\n  --> template.yaml:3:5\n")
    assert carets(text) == ["Type"]


def test_several_errors_are_separated_by_an_empty_line() -> None:
    assert render(Several([NoRule("a"), NoRule("b")]), read) == "error[LB301]: a\n\nerror[LB301]: b"


def test_the_name_that_the_serverless_framework_has_for_a_mistake_stands_beside_the_code() -> None:
    assert render(BadFunction("no vpc", known_as="MISSING_VPC"), read) == "error[LB702 (MISSING_VPC)]: no vpc"


def test_a_place_without_an_end_has_one_caret_below_the_first_word() -> None:
    assert carets(render(NoRule("x", where=Span("template.yaml", 3)), read)) == ["T"]
    assert carets(render(NoRule("x", where=Span("template.yaml", 5, 16)), read)) == ["s"]


def test_a_value_of_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    text = "A: >\n  one\n  two\n"
    assert carets(shown(NoRule("x", where=Span("t", 1, 4, 3, len(text))), text)) == [">"]


def test_an_error_about_a_whole_file_shows_no_line() -> None:
    assert render(NoRule("x", where=Span("template.yaml")), read) == "error[LB301]: x\n  --> template.yaml:1:1"


@pytest.mark.parametrize("text", ["# a new first line\n" + TEMPLATE, "Resources:\n", ""])
def test_a_file_that_has_changed_shows_no_line(text: str) -> None:
    assert shown(NoRule("x", where=span_of(TEMPLATE, "src/orders/")), text).count("\n") == 1


def test_a_file_that_cannot_be_read_shows_no_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"\n\xff: 1\n")
    (tmp_path / "folder").mkdir()
    for name in ("missing.yaml", "latin.yaml", "folder"):
        text = render(NoRule("x", where=Span(name, 2, 1)), source_reader(str(tmp_path)))
        assert text == f"error[LB301]: x\n  --> {name}:2:1"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_and_a_byte_order_mark_are_read(end: str, tmp_path: Path) -> None:
    text = TEMPLATE.replace("\n", end)
    (tmp_path / "template.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    root, _ = parse("template.yaml", text)
    where = root.get("Resources").get("Orders").keys["Type"]  # type: ignore[union-attr]

    assert carets(render(NoRule("x", where=where), source_reader(str(tmp_path)))) == ["Type"]


@pytest.mark.parametrize("at", [0, 60, 500, 990])
def test_a_long_line_is_cut_around_the_caret(at: int) -> None:
    text = "a" * at + "HERE" + "b" * (1000 - at)
    rendered = shown(NoRule("x", where=span_of(text + "\n", "HERE") if at else Span("t", 1, 1, 0, 4)), text)

    assert carets(rendered) == ["HERE"]
    assert max(map(len, rendered.splitlines())) <= WIDTH + 12


def test_the_caret_stands_below_its_word_after_tabs_wide_letters_and_escapes() -> None:
    text = "\t\x1b[31mkey: \N{CJK UNIFIED IDEOGRAPH-6F22}\N{CJK UNIFIED IDEOGRAPH-5B57} HERE\n"
    rows = shown(NoRule("x", where=span_of(text, "HERE")), text).splitlines()

    assert "\x1b" not in "".join(rows)
    assert rows[-1].index("^") == rows[-2].index("HERE") + 2  # each of the two letters is two columns wide


def test_a_line_that_holds_a_masked_secret_is_left_out() -> None:
    text = "a: 1\nb: hunter2-hunter2\n"
    error = NoRule("'hunter2-hunter2' is no number", where=span_of(text, "hunter2-hunter2"))
    masked = error.without(["hunter2-hunter2"])

    assert "hunter2" in shown(error, text)
    assert shown(masked, text) == "error[LB301]: '***' is no number\n  --> template.yaml:2:4"
    assert "hunter2" not in shown(Several([error]).without(["hunter2-hunter2"]), text)


def test_other_lines_of_a_masked_error_are_shown() -> None:
    text = "a: 1\nb: hunter2-hunter2\n"
    masked = NoRule("x", where=span_of(text, "a")).without(["hunter2-hunter2"])

    assert carets(shown(masked, text)) == ["a"]


def test_a_masked_error_takes_no_secret_into_another_process_and_shows_no_line_there() -> None:
    text = "a: 1\nb: hunter2-hunter2\n"
    data = pickle.dumps(NoRule("x", where=span_of(text, "hunter2-hunter2")).without(["hunter2-hunter2"]))

    assert b"hunter2" not in data
    assert "hunter2" not in shown(pickle.loads(data), text)  # ours, of the line above


@pytest.mark.parametrize(
    "line",
    [
        "DB_PASSWORD: hunter2",
        "  apiKey: 'hunter2'",
        '"token": "hunter2"',
        "--extra-index-url https://me:hunter2@example.com/",
    ],
)
def test_a_line_in_which_a_secret_seems_to_be_written_is_left_out(line: str) -> None:
    assert "hunter2" not in shown(NoRule("x", where=Span("t", 2, 1)), f"\n{line}\n")


@pytest.mark.parametrize(
    "line", ["Token: !Ref Token", "secret: ${ssm:/secret}", "TokenFunction:", "SecretArn: {Ref: S}"]
)
def test_a_line_that_only_refers_to_a_secret_is_shown(line: str) -> None:
    assert line in shown(NoRule("x", where=Span("t", 2, 1)), f"\n{line}\n")


def test_no_line_of_a_dot_file_is_shown() -> None:
    assert "value" not in render(NoRule("x", where=span_of("KEY: value\n", "KEY", ".env")), read)


def test_color_adds_nothing_but_escapes() -> None:
    error = NoRule("x", where=span_of(TEMPLATE, "Type"), help="y", tail="z")
    colored = render(error, read, is_colored=True)

    assert colored.startswith("\x1b[1;31merror[LB301]\x1b[0m: ")
    for code in ("1;31", "1;34", "1;36", "1", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == render(error, read)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "on_a_terminal", "in_a_pipe"),
    [
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_color_is_for_terminals_unless_the_environment_says_otherwise(
    environment: dict[str, str], on_a_terminal: bool, in_a_pipe: bool
) -> None:
    assert wants_color(Terminal(), environment) is on_a_terminal
    assert wants_color(io.StringIO(), environment) is in_a_pipe
