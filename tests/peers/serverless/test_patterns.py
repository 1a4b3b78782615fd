"""Patterns of ``package`` in hundreds of combinations, as the Serverless Framework's own code and we choose files by them."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from lambdabuild.files.globs import GlobbedPatterns
from lambdabuild.files.listing import scan
from lambdabuild.frontends.serverless.package_patterns import globs

pytestmark = pytest.mark.slow

FILES = (
    "app.js", "README.md", ".env", ".npmrc", "cls/keep.js", "cls/drop.js", "cls/a.ts", "cls/sub/kit.js", "tests/a.js", "tests/a.test.js",
    "tests/unit/b.js", "src/a.js", "src/tests/c.js", "src/tests/deep/d.json", "src/.hidden/e.js", "src/b.test.js", "lib/a1.js", "lib/a2.js",
    "lib/b1.js", "docs/x.md", "docs/api/y.md", "tests.js", "src/(odd)/f.js", "src/[x]/g.js", "build/out.js", "node_modules/p/index.js",
    "node_modules/p/test/t.js", "node_modules/.bin/p", "a b/c d.js", "é/ü.js", "UPPER/File.JS",
)  # fmt: skip
PATTERNS = (
    "!tests", "!**/tests", "!tests/", "!tests/**", "!**/tests/**", "!**/*.test.js", "!src/tests", "src/**", "!**", "!*", "*", "**", "!./tests", "./src/**",
    "src/tests/c.js", "tests/**", "tests/a.js", "!cls/[!k]*.js", "!cls/[^k]*.js", "cls/[kd]*.js", "!{tests,docs}", "!{tests,docs}/**", "!lib/a{1..2}.js",
    "lib/@(a1|b1).js", "!lib/!(a1).js", "!**/!(keep).js", "!lib/+(a)[0-9].js", "!lib/?1.js", "!docs/**/*.md", "!docs/*", "docs/api", "!docs/api",
    "!node_modules/**", "node_modules/p/**", "!node_modules", "!node_modules/p/test", "!.*", "!.*/**", "!**/.*", ".env", "!.env*", "!**/.hidden/**",
    "!src/.hidden", "!README.md", "!*.md", "!**/*.{md,ts}", "!**/{tests,.hidden}", "!src/*/", "!src/\\[x\\]/**", "!a b/**", "!é/**", "!**/*.JS",
    "!**/t*", "!t*", "!test*", "!**/unit", "!build", "!**/[a-c].js", "!**/[[:upper:]]*", "!src/*.js", "!src/**.js", "!**/*s/**", "cls", "nothing/here",
)  # fmt: skip
EXCLUDES = ("tests", "tests/**", "**/*.md", "!docs/x.md", "cls/*", "node_modules/**", "src", "./lib/**", "**/[!k]*.ts")
SCRIPT = """
const chosen = require('serverless/lib/plugins/package/lib/package-service').resolveFilePathsFromPatterns;
const { folder, cases } = JSON.parse(require('fs').readFileSync(0));
const { normalize } = require('path');
const owner = { serverless: { serviceDir: folder } };
const ask = ([exclude, include]) => chosen.call(owner, { exclude, include }).then((found) => found.map((path) => normalize(path)), () => []);
(async () => {
  const answers = [];
  for (const one of cases) answers.push(await ask(one));
  console.log(JSON.stringify(answers));
})();
"""


def test_patterns_choose_the_files_that_the_framework_chooses(serverless: Path, tmp_path: Path) -> None:
    for file in FILES:
        tmp_path.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(file).write_text("")
    chance = random.Random(16)
    cases = [([], [one]) for one in PATTERNS] + [([one], []) for one in EXCLUDES]
    cases += [
        (chance.sample(EXCLUDES, chance.randrange(3)), chance.sample(PATTERNS, chance.randrange(1, 4)))
        for _ in range(400)
    ]
    ran = subprocess.run(
        ["node", "-e", SCRIPT], cwd=serverless.parents[2], input=json.dumps({"folder": str(tmp_path), "cases": cases}),
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    wrong = []
    for (excluded, included), theirs in zip(cases, json.loads(ran.stdout), strict=True):
        found = scan(str(tmp_path), GlobbedPatterns((), globs(excluded, included)))
        ours = {file.path for file in found.files}
        if ours != set(theirs):
            wrong.append(
                (excluded, included, "missing", sorted(set(theirs) - ours), "more", sorted(ours - set(theirs)))
            )
    assert wrong == []
