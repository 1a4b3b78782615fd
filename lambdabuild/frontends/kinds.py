"""Which front end reads a description: by its name, and by what is in it."""

from __future__ import annotations

import os
import re
from typing import Literal, Protocol

from lambdabuild.core import regular
from lambdabuild.core.errors import LambdaBuildError

SAM, SERVERLESS, TERRAFORM, CDK = "sam", "serverless", "terraform", "cdk"
"""The front ends."""
TEMPLATES = ("template.yaml", "template.yml", "template.json")
SERVICES = tuple(f"serverless.{extension}" for extension in ("yml", "yaml", "json", "js", "cjs", "mjs", "ts"))
PLANS = ("terraform.json",)
ASSEMBLY_MANIFEST = "manifest.json"
ASSEMBLY = f"cdk.out/{ASSEMBLY_MANIFEST}"
"""The file that is in every cloud assembly, and where ``cdk synth`` writes it."""
NONE = "none"
"""The setting ``template`` of a project that has one and does not want it read."""
DESCRIPTIONS = (*TEMPLATES, *SERVICES, *PLANS)
"""The files that describe a project whose settings name none, in the order in which they are looked for."""
PROGRAMS = (".js", ".cjs", ".mjs", ".ts")
SECTION = re.compile(r"""(?m)^["']?(service|Resources|AWSTemplateFormatVersion)["']?[ \t]*:""")
OF_PLAN = re.compile(r'\s*\{\s*"format_version"\s*:')


class Files(Protocol):
    """The project's disk."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises OSError, UnicodeDecodeError."""
        ...

    def kind(self, path: str) -> Literal["file", "folder", ""]: ...


def kind_of(files: Files, path: str) -> str:
    """Return which front end reads a file; one that cannot be read is left to the front end of its name."""
    base, extension = os.path.splitext(os.path.basename(path))
    by_name = SERVERLESS if base == "serverless" or base.startswith("serverless.") else SAM
    if os.path.basename(path) == ASSEMBLY_MANIFEST or files.kind(path) == "folder":
        return CDK
    if extension in PROGRAMS:
        return SERVERLESS
    try:
        text = files.read(path)
    except (OSError, UnicodeDecodeError):
        return by_name
    if OF_PLAN.match(text) or os.path.basename(path) in PLANS:
        return TERRAFORM
    sections = _sections(path, text)
    is_template, is_service = bool(sections & {"Resources", "AWSTemplateFormatVersion"}), "service" in sections
    return by_name if is_template == is_service else SERVERLESS if is_service else SAM


def is_serverless(files: Files, path: str) -> bool:
    """Return whether a file is a serverless.yml."""
    return kind_of(files, path) == SERVERLESS


def _sections(path: str, text: str) -> set[str]:
    """Return the names of a file's sections: those at the beginning of a line; a file without any is parsed."""
    found = set(SECTION.findall(text))
    if found or not text.lstrip().startswith("{"):
        return found
    try:
        sections = regular.json(text)
        return set(sections) if isinstance(sections, dict) else set()
    except ValueError:  # YAML in braces
        pass
    from lambdabuild.frontends.yaml_text import parse

    try:
        root = parse(path, text, tell_duplicate=lambda error: None)[0]
    except LambdaBuildError:
        return set()
    return set(root.value) if isinstance(root.value, dict) else set()
