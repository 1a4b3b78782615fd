"""Values as they are written into the text of a template, in YAML and in JSON, wherever they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z./][A-Za-z0-9_./-]*", re.IGNORECASE)
"""Texts that need no quotes anywhere in YAML."""


def written(value: str | Mapping[str, str], is_json: bool) -> str:
    """A text, or a mapping of texts on one line."""
    if isinstance(value, str):
        return text_of(value, is_json)
    return flow({name: json.dumps(text, ensure_ascii=is_json) for name, text in value.items()}, is_json)


def flow(pairs: Mapping[str, str], is_json: bool) -> str:
    """A mapping on one line, whose values are written already."""
    return "{" + ", ".join(f"{text_of(name, is_json)}: {text}" for name, text in pairs.items()) + "}"


def text_of(text: str, is_json: bool) -> str:
    return text if not is_json and PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=is_json)
