"""A Dockerfile -> the images that it begins with or copies from.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lambdabuild.core.records import Struct

DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
VARIABLE = re.compile(r"\\(.)|\$(?:(\w+)|\{(\w+)(?:(:?[-+])((?:[^{}\\]|\\.|\{[^}]*\})*))?\})")
SCRATCH = "scratch"
"""The empty image, which no registry has."""


class Base(Struct, frozen=True, order=True):
    """An image by its name; ``platform`` is "" for that of the image which is built."""

    name: str
    platform: str = ""


def bases(
    text: str, arguments: Mapping[str, str], target: str = "", platform: str = "", builder: str = ""
) -> tuple[Base, ...]:
    """Return the images that a build needs to be there, sorted; a stage after the target does not count.

    ``arguments`` win over what ``ARG`` says before the first ``FROM``. A name that is made of an argument nobody gives
    is left to the engine, which refuses it. ``builder`` is the engine's own platform.
    """
    platforms = {**_platforms("BUILD", builder or platform), **_platforms("TARGET", platform)}
    known = {**platforms, **arguments}
    defaults, stages, images = dict[str, str](), dict[str, None](), set[Base]()
    count = 0
    for word, rest in _instructions(text):
        if word == "ARG" and not count:
            defaults |= {name: known.get(name, value) for name, value in _arguments(rest, {**defaults, **known})}
        elif word == "FROM":
            if count and target and target.lower() in (*stages, str(count - 1)):
                break
            flags, name, stage = _from(rest)
            values = {**defaults, **platforms}
            name = expand(name, values)
            if name and name.lower() not in stages and name != SCRATCH:
                images.add(Base(name, expand(flags.get("platform", ""), values)))
            stages |= {stage.lower(): None} if stage else {}
            count += 1
        else:
            outside = (
                source for source in _copied_from(word, rest) if source.lower() not in stages and not source.isdigit()
            )
            images |= {Base(source) for source in outside if source not in (SCRATCH, "context")}
    return tuple(sorted(images))


def _platforms(side: str, platform: str) -> dict[str, str]:
    """Values that are known without an ``ARG``.

    https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
    """
    system, _, rest = (platform or "linux/amd64").partition("/")
    processor, _, variant = rest.partition("/")
    parts = {"PLATFORM": platform, "OS": system, "ARCH": processor, "VARIANT": variant}
    return {f"{side}{name}": value for name, value in parts.items()}


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction's word in capitals and the rest of it, with its lines joined."""
    lines = iter(text.removeprefix("\ufeff").splitlines())
    escape, at_top, open_line = "\\", True, ""
    for line in lines:
        stripped = line.strip()
        directive = DIRECTIVE.match(stripped) if at_top else None
        if directive is not None:
            escape = directive[2] if directive[1].lower() == "escape" else escape
            continue
        at_top = False
        if not stripped or stripped.startswith("#"):
            continue  # between the lines of one instruction too
        if stripped.endswith(escape):
            open_line += stripped[:-1] + " "
            continue
        word, _, rest = (open_line + stripped).strip().partition(" ")
        open_line = ""
        yield word.upper(), rest.strip()
        if word.upper() in ("RUN", "COPY", "ADD"):
            for _, end in HEREDOC.findall(rest):
                next((terminator for terminator in lines if terminator.strip("\t") == end), None)
    if open_line:
        word, _, rest = open_line.strip().partition(" ")
        yield word.upper(), rest.strip()


def _arguments(rest: str, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for word in re.findall(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+", rest):
        name, sign, value = word.partition("=")
        if sign:
            yield name, expand(re.sub(r"\"([^\"]*)\"|'([^']*)'", r"\1\2", value), known)
        elif name in known:
            yield name, known[name]


def _from(rest: str) -> tuple[dict[str, str], str, str]:
    """Flags, the image and the stage's own name."""
    words = rest.split()
    flags = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
    plain = [word for word in words if not word.startswith("--")]
    stage = plain[2] if len(plain) == 3 and plain[1].lower() == "as" else ""
    return flags, plain[0].strip("\"'") if plain else "", stage


def _copied_from(word: str, rest: str) -> Iterator[str]:
    for flag in rest.split() if word in ("COPY", "ADD", "RUN") else ():
        if not flag.startswith("--"):
            return
        name, _, value = flag[2:].partition("=")
        if name == "from":
            yield value
        elif name == "mount":
            yield from (part[5:] for part in value.split(",") if part.startswith("from="))


def expand(text: str, values: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+other}``; a name that is not known is nothing."""

    def one(match: re.Match[str]) -> str:
        escaped, plain, name, sign, word = match.groups()
        if escaped is not None:
            return str(escaped)
        value = values.get(plain or name)
        is_set = bool(value) if not sign or sign.startswith(":") else value is not None
        if sign and sign.endswith("+"):
            return expand(word, values) if is_set else ""
        return (value or "") if is_set or not sign else expand(word, values)

    return VARIABLE.sub(one, text)
