"""Thousands of .env texts, read by the packages that the Serverless Framework pins and by us."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from lambdabuild.core.errors import SourceFailed
from lambdabuild.frontends.serverless.variables import dotenv

pytestmark = pytest.mark.slow

PIECES = (
    "A", "B", "C_1", "x.y", "=", ":", " = ", ": ", "\n", "\n", "\r\n", "\r", "#", " # c", "'", '"', "`", "\\n", "\\r", "\\",
    "\\$", "$", "${", "}", "${A}", "$B", "${A:-d}", "${NOPE:-fall}", "${A:-${B}}", "export ", " ", "\t", "é", "v", "abc",
    "$&", "$$", "$'", "$`", "=\n", "'a b'", '"a\\nb"', "A=1\n", "B: 2\n", "C_1=${A}\n", ":-", "-",
)  # fmt: skip
SCRIPT = """
const { parse, populate } = require('dotenv');
const { expand } = require('dotenv-expand');
const cases = JSON.parse(require('fs').readFileSync(0));
const answers = cases.map(([text, environment]) => {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  const parsed = parse(text);
  populate(process.env, parsed, {});
  return [expand({ parsed }).parsed, { ...process.env }];
});
console.log(JSON.stringify(answers));
"""


def any_line(chance: random.Random) -> str:
    """Something that may be a line, most often one with a name."""
    begin = chance.choice(("A=", "B=", "export C_1=", "A: ", "x.y = ", ""))
    return begin + "".join(chance.choices(PIECES, k=chance.randrange(0, 8))) + chance.choice(("\n", "\n", "\r\n", ""))


def read(text: str, environment: dict[str, str]) -> list[dict[str, str]] | None:
    try:
        return [dotenv.load(text, environment), environment]
    except SourceFailed:
        return None


def test_texts_mean_what_they_mean_to_the_packages_of_the_framework(serverless: Path) -> None:
    chance = random.Random(16)
    texts = ["".join(any_line(chance) for _ in range(chance.randrange(1, 5))) for _ in range(3000)]
    cases = [
        (text, {"A": chance.choice(["env", "a$B", "", "x\\$y"])} if chance.random() < 0.4 else {}) for text in texts
    ]
    ours = [read(text, dict(environment)) for text, environment in cases]
    asked = [case for case, answer in zip(cases, ours, strict=True) if answer is not None]  # others never end there
    ran = subprocess.run(
        ["node", "-e", SCRIPT], cwd=serverless.parents[2], input=json.dumps(asked), capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    answers = json.loads(ran.stdout)
    ended = [answer for answer in ours if answer is not None]
    assert [case for case, own, other in zip(asked, ended, answers, strict=True) if own != other] == []
    assert sum(len(answer[0]) > 1 for answer in answers) > 1000
