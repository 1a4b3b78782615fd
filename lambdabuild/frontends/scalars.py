"""The text of a scalar -> its value: by YAML 1.1 as CloudFormation reads it, by YAML 1.2, by a tag, or as JSON.

The only place where a template's texts become numbers. What no reader can hold is a ``NoScalar``, never a crash.
"""

from __future__ import annotations

import re
import sys

import yaml

from lambdabuild.core.spans import Scalar

STANDARD = "tag:yaml.org,2002:"
LONGEST_NUMBER = 400
"""In characters. The largest number that JSON's readers hold has 309 digits; Python refuses to print 4,301."""


class NoScalar(ValueError):
    """The text cannot be read as what it is meant to be."""


def implicit(text: str) -> Scalar:
    """A plain scalar as CloudFormation means it: YAML 1.1, but dates, octal and base-60 numbers stay text."""
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ()):
        if pattern.match(text):
            return _typed(tag.removeprefix(STANDARD), text)
    return text


_CORE_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)


def core(text: str) -> Scalar:
    """A plain scalar by YAML 1.2's core schema; dates stay text. https://yaml.org/spec/1.2.2/#103-core-schema"""
    if text in _CORE_WORDS:
        return _CORE_WORDS[text]
    if re.fullmatch(r"[-+]?0[xob][0-9a-fA-F]+", text):
        short = _short(text)
        try:
            value = int(short, 0)
        except ValueError:
            return text
        return _held(value)
    if _CORE_NUMBER.fullmatch(text):
        return number(text)
    return text


def number(text: str) -> int | float:
    """A decimal number as JavaScript writes it back: ``1.0`` is 1."""
    value = float(_short(text))
    return _held(int(text)) if re.fullmatch(r"[-+]?\d+", text) else int(value) if value.is_integer() else value


def tagged(kind: str, text: str) -> Scalar:
    """A scalar with one of YAML's own tags (``int`` of ``!!int``). Raises NoScalar for what is no such thing."""
    if kind not in ("null", "bool", "int", "float"):
        return text
    if kind in ("int", "float") and _is_number(text):
        return _typed(kind, text)
    words = yaml.SafeLoader.bool_values if kind == "bool" else None
    if kind == "null" or (words is not None and text.lower() in words):
        return _typed(kind, text)
    raise NoScalar(f"{shown(text)} is not a value of type {kind}")


def _is_number(text: str) -> bool:
    known = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    return any(tag in (STANDARD + "int", STANDARD + "float") and pattern.match(text) for tag, pattern in known)


def _typed(kind: str, text: str) -> Scalar:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    plain = text.replace("_", "")
    if kind == "int" and re.fullmatch(r"[-+]?(0|[1-9]\d*|0x[0-9a-fA-F]+)", plain, re.ASCII):
        return _held(int(_short(plain), 0))
    if kind == "float" and ":" not in plain:
        return float(re.sub(r"\.(inf|nan)$", r"\1", _short(plain), flags=re.IGNORECASE))
    return text


def json_number(text: str, *, is_whole: bool) -> int | float:
    return _held(int(_short(text))) if is_whole else float(_short(text))


def _held(value: int) -> int:
    if abs(value) > sys.float_info.max:
        raise NoScalar("it is a number above 1.8e308, which no reader of JSON holds")
    return value


def _short(text: str) -> str:
    if len(text) > LONGEST_NUMBER:
        raise NoScalar(f"{shown(text)} is a number of {len(text)} characters, which nobody can read")
    return text


def is_unicode(text: str) -> bool:
    """Return whether a text can be written anywhere: JSON's ``\\ud800`` is half a character."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """A text in a message: quoted, and not longer than a person reads."""
    return ascii(text) if len(text) <= 60 else ascii(text[:57]) + "..."
