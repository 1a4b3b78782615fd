"""Files that the steps of each kind leave: in the project's state, and outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from lambdabuild.core import messages
from lambdabuild.core.errors import NoEngine
from lambdabuild.engine.base import receipts, template_files
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.freshness.intact import published_file

# outside of the state


def zips(site: Site, name: str) -> Iterator[Output]:
    return (Output(site.zip(user)) for user in site.build(name).users)


def trees(site: Site, name: str) -> Iterator[Output]:
    return (tree_output(site, user) for user in site.build(name).users)


def store(site: Site, name: str) -> Iterator[Output]:
    if not site.bucket and not site.settings.store:
        yield Output(site.store_dir, "store")


def layer_versions(site: Site, name: str) -> Iterator[Output]:
    yield Output(published_file(site))


def templates(site: Site, name: str) -> Iterator[Output]:
    return map(Output, template_files.outputs(site))


def automatic_layers(site: Site, name: str) -> Iterator[Output]:
    """Yield the zips or trees of automatic layers, which are known once the plan of the layers was made."""
    from lambdabuild.engine.steps.auto_layers import shared_layers

    if name in shared_layers.IN_FILES:
        yield from (shared_layers.output(site, name, layer) for layer in shared_layers.left_by(site, name))


# in the state


def folder_of(kind: str) -> Callable[[Site, str], Iterator[str]]:
    """Return what says which folder a rule's step fills."""

    def folders(site: Site, name: str) -> Iterator[str]:
        yield site.out(kind, name)

    return folders


def record_of(kind: str) -> Callable[[Site, str], Iterator[str]]:
    """Return what says which file a step keeps from run to run."""

    def records(site: Site, name: str) -> Iterator[str]:
        yield site.record(kind, name)

    return records


def list_of_copy(site: Site, name: str) -> Iterator[str]:
    yield site.record("copy", name)
    yield site.out("zipped", name)


def records_of_automatic_layers(site: Site, name: str) -> Iterator[str]:
    from lambdabuild.engine.steps.auto_layers import shared_layers

    if name in shared_layers.IN_FILES:
        yield from (site.record(name, layer) for layer in shared_layers.left_by(site, name))


# what is not a file


def containers(site: Site, name: str) -> None:
    """Remove the containers that a killed run left."""
    from lambdabuild.engine.containers import pool

    pool.sweep_if_there(site)


def image(site: Site, name: str) -> None:
    """Remove an image. Without an engine there is nothing to remove but files."""
    from lambdabuild.engine.steps.images import images

    receipt = receipts.read(site.receipt("image", name))
    try:
        if receipt is not None:
            images.remove(site, name, receipt.result)
    except NoEngine as error:
        messages.report(error)


def remove_empty_parents(path: str, top: str) -> None:
    parent = os.path.dirname(path)
    while parent.startswith(top + os.sep):
        try:
            os.rmdir(parent)
        except OSError:
            return
        parent = os.path.dirname(parent)
