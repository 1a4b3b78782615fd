"""Lambda's limits, checked before anything is sent. Sizes are bytes.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lambdabuild.artifacts.entries import Entry
from lambdabuild.core.errors import TooLarge
from lambdabuild.core.lambda_limits import DIRECT_UPLOAD_BYTES, LAYERS, UNZIPPED_BYTES

SHOWN = 10


def check_unzipped(name: str, entries: Iterable[Entry], layers: Sequence[tuple[str, int]]) -> list[TooLarge]:
    """An error when a function with its layers (name, unzipped bytes) is over 250 MB, with what is largest in it."""
    listed = list(entries)
    own = sum(entry.size for entry in listed)
    total = own + sum(size for _, size in layers)
    if total <= UNZIPPED_BYTES:
        return []
    folders: Counter[str] = Counter()
    for entry in listed:
        folders[entry.path.partition("/")[0]] += entry.size
    rows = [f"{size / 1e6:9.1f} MB  {path}" for path, size in folders.most_common(SHOWN)]
    rows += [f"{size / 1e6:9.1f} MB  layer {layer}" for layer, size in layers]
    with_layers = f" with its {len(layers)} layers" if layers else ""
    return [
        TooLarge(
            f"{name}{with_layers} is {total:,} bytes unzipped; Lambda takes {UNZIPPED_BYTES:,}",
            tail="\n".join(rows),
            help="leave something out (exclude, exclude_dependencies), or make it an image function",
        )
    ]


def check_files(name: str, files: Sequence[tuple[str, int]]) -> list[TooLarge]:
    """Return an error when files that are all shipped, each a path with its size, are over 250 MB."""
    total = sum(size for _, size in files)
    if total <= UNZIPPED_BYTES:
        return []
    largest = sorted(files, key=lambda file: -file[1])[:SHOWN]
    return [
        TooLarge(
            f"{name} has {total:,} bytes that would be shipped; Lambda takes {UNZIPPED_BYTES:,} unzipped",
            tail="\n".join(f"{size / 1e6:9.1f} MB  {path}" for path, size in largest),
            help="leave something out (exclude, .lambdabuildignore), or make it an image function",
        )
    ]


def check_layer_count(name: str, count: int) -> list[TooLarge]:
    if count <= LAYERS:
        return []
    return [TooLarge(f"{name} has {count} layers; Lambda takes {LAYERS}", help="merge some of them")]


def zip_notes(name: str, size: int) -> list[str]:
    """Return a note about a zip that is so large that Lambda takes it from S3 only."""
    if size <= DIRECT_UPLOAD_BYTES:
        return []
    return [f"{name}.zip is {size / 1e6:.1f} MB: over 50 MB, so it can be deployed through S3 only"]
