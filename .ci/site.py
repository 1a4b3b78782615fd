"""mkdocs' hooks: pages of the repository outside of docs/ are pages of the site, and links between them work in both.

In the repository a link is relative to the file it is in, so that it works where the file is read. The site has docs/
as its top, and next to it what ``OUTSIDE`` names. Every link is rewritten from the first to the second; mkdocs then
checks that each of them leads to a page and to a heading of it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("rules/*/README.md", "bench/results.md", "CHANGELOG.md")
LINK = re.compile(r"(\]\()(?![a-z]+:)([^)#\s]+)(#[^)\s]*)?(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs/, under their own paths."""
    for pattern in OUTSIDE:
        for file in sorted(ROOT.glob(pattern)):
            path = file.relative_to(ROOT).as_posix()
            files.append(File.generated(config, path, content=file.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page from paths of the repository to paths of the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(here if page.file.generated_by else f"docs/{here}")

    def rewritten(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2])).removeprefix("docs/")
        return f"{link[1]}{posixpath.relpath(target, posixpath.dirname(here) or '.')}{link[3] or ''}{link[4]}"

    return LINK.sub(rewritten, markdown)
