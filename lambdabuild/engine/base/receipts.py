"""Receipts: small JSON files that say what a step was made from and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lambdabuild.core import regular
from lambdabuild.core.atomic import write_bytes
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import Struct, field

Saved = Callable[[str], Mapping[str, Any]]
"""Returns a task's values in doit's state: ``{"inputs": fingerprint, "output": digest, "reads": [paths]}``, or {}."""


class Receipt(Struct, frozen=True):
    """``components`` are the inputs by name, each with its digest; ``reads`` the files that only the run revealed.

    ``folders`` holds, for each folder among the components, its files' digests: what ``why`` compares. ``output`` is
    the digest of what came out: when it did not change, nothing after the step runs.
    """

    components: Mapping[str, str]
    output: str
    reads: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    result: JsonObject = field(default_factory=dict)


class StepOutput(Struct, frozen=True):
    """The result of a step: the digest of what came out, and what people, ``why`` and later steps need."""

    output: str
    values: JsonObject = field(default_factory=dict)
    """Kept by doit, and shown by the reporter: ``size``, ``unzipped``, ``sent``, ``notes``, ``location``, ``parts``."""
    result: JsonObject = field(default_factory=dict)
    """Kept in the receipt, for the steps after it and the manifest."""
    reads: tuple[str, ...] = ()
    """Files that turned out to be read when the step ran, as records name them."""
    images: Mapping[str, str] = field(default_factory=dict)
    """The images in which its tools ran."""
    folders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def write(file: str, receipt: Receipt) -> None:
    """Write a receipt, for people too: sorted, and a line for each input."""
    write_bytes(file, msgspec.json.format(msgspec.json.encode(receipt, order="sorted"), indent=1) + b"\n")


def read(file: str) -> Receipt | None:
    """The receipt, or None when there is none or it is broken (then the step has not happened)."""
    try:
        with open(file, encoding="utf-8", opener=regular.opener) as stream:
            return Receipt(**regular.json(stream.read()))
    except (OSError, ValueError, TypeError):
        return None
