"""Draw docs/pictures again: ``python .ci/pictures.py``, or one of them: ``python .ci/pictures.py data-flow``.

run.svg is what a terminal shows of builds of the sample app, made here and now; data-flow.svg is drawn from ``FLOW``.
Neither refers to anything outside of itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from html import escape
from io import StringIO
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs/pictures"

FIRST, LAST = 7, 6
"""Of a long output, how many lines are shown from its beginning and from its end."""

EDITED = "src/receipts/index.js"
"""A file of the sample app that the second build finds edited."""

TERMINAL = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; }}
.{unique_id}-title {{ font-family: sans-serif; font-weight: bold; font-size: 18px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own frame, with the fonts of the reader's machine instead of ones that are fetched."""

FLOW = (
    ("description", "template.yaml,\nserverless.yml", "load"),
    ("Service", "functions, layers,\nimages", "plan"),
    ("BuildPlan", "who is built by\nwhich rule", "steps"),
    ("steps", "resolve, compile,\ncopy, zip, ...", "run"),
    ("artifacts", "zips, folders,\nimages", "write"),
    ("template", "ready to deploy;\nmanifest.json", ""),
)
"""The nouns of a build, what each is, and the arrow to the next."""


FLOW_STYLE = """\
<style>
rect { fill: #fff3ee; stroke: #d84315; stroke-width: 1.5 }
text { font: 14px sans-serif; text-anchor: middle; fill: #333 }
.name { font-weight: bold; font-size: 16px }
.arrow { stroke: #d84315; stroke-width: 2 }
.head { fill: #d84315 }
.verb { font-style: italic; fill: #d84315 }
</style>"""


def run_picture() -> str:
    """Build a copy of the sample app: from nothing, after an edit, and again; return the terminal."""
    console = Console(record=True, width=108, file=StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        app = Path(shutil.copytree(ROOT / "sample-app", Path(folder, "sample-app")))
        environment = {**os.environ, "LAMBDABUILD_CACHE__DIR": str(Path(folder, "cache"))}

        def typed(command: str) -> None:
            done = subprocess.run(command, shell=True, cwd=app, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{command} failed with exit code {done.returncode}\n{done.stderr}")
            show(console, command, done.stdout.splitlines())

        typed("lambdabuild")
        typed(f"echo '// edited' >> {EDITED}")
        typed("lambdabuild")
        typed("lambdabuild")
    return console.export_svg(title="sample-app", theme=MONOKAI, code_format=TERMINAL, unique_id="run")


def show(console: Console, command: str, lines: list[str]) -> None:
    """Print a command behind a prompt and what it printed, without the middle when that is long."""
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    shown = lines if len(lines) <= FIRST + LAST else [*lines[:FIRST], "...", *lines[-LAST:]]
    for line in shown:
        style = "bold" if line.startswith(("built", "nothing to do")) else "dim" if line == "..." else ""
        console.print(Text(line, style))


def flow_picture() -> str:
    """Return the boxes of FLOW from left to right, an arrow between each and the next."""
    width, height, gap = 150, 92, 62
    total = len(FLOW) * width + (len(FLOW) - 1) * gap + 20
    return "\n".join(
        (
            f'<svg viewBox="0 0 {total} {height + 20}" xmlns="http://www.w3.org/2000/svg">',
            FLOW_STYLE,
            *chain.from_iterable(
                drawn(10 + at * (width + gap), 10, width, height, gap, box) for at, box in enumerate(FLOW)
            ),
            "</svg>\n",
        )
    )


def drawn(x: int, y: int, width: int, height: int, gap: int, box: tuple[str, str, str]) -> Iterable[str]:
    """Yield the lines of a box, and of the arrow behind it."""
    name, words, verb = box
    middle, end = y + height // 2, x + width + gap
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
    yield f'<text class="name" x="{x + width // 2}" y="{y + 28}">{escape(name)}</text>'
    for row, text in enumerate(words.splitlines()):
        yield f'<text x="{x + width // 2}" y="{y + 54 + 19 * row}">{escape(text)}</text>'
    if verb:
        yield f'<text class="verb" x="{end - gap // 2}" y="{middle - 8}">{escape(verb)}</text>'
        yield f'<line class="arrow" x1="{x + width + 4}" y1="{middle}" x2="{end - 10}" y2="{middle}"/>'
        yield f'<path class="head" d="M{end - 12} {middle - 6} L{end - 2} {middle} L{end - 12} {middle + 6} Z"/>'


DRAWN = {"data-flow": flow_picture, "run": run_picture}
"""Each picture's name, and the function that draws it."""

if __name__ == "__main__":
    for picture in sys.argv[1:] or DRAWN:
        (PICTURES / f"{picture}.svg").write_text(DRAWN[picture](), encoding="utf-8")
