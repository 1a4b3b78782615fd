"""Files that the steps of each kind leave: in the project's state, and outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from lambdabuild.core import messages
from lambdabuild.core.errors import NoEngine
from lambdabuild.engine.base import destination, receipts, template_files
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness.intact import published_file

# outside of the state


def zips(run: Run, name: str) -> Iterator[Output]:
    return (Output(run.project.zip(user)) for user in run.index.builds[name].users)


def trees(run: Run, name: str) -> Iterator[Output]:
    return (tree_output(run.project, user) for user in run.index.builds[name].users)


def store(run: Run, name: str) -> Iterator[Output]:
    if not destination.bucket(run.project) and not run.project.settings.store:
        yield Output(run.project.store_dir, "store")


def layer_versions(run: Run, name: str) -> Iterator[Output]:
    yield Output(published_file(run.project))


def templates(run: Run, name: str) -> Iterator[Output]:
    return map(Output, template_files.outputs(run.project))


def automatic_layers(run: Run, name: str) -> Iterator[Output]:
    """Yield the zips or trees of automatic layers, which are known once the plan of the layers was made."""
    from lambdabuild.engine.steps.auto_layers import shared_layers

    if name in shared_layers.IN_FILES:
        yield from (
            shared_layers.output(run.project, name, layer) for layer in shared_layers.left_by(run.project, name)
        )


# in the state


def folder_of(kind: str) -> Callable[[Run, str], Iterator[str]]:
    """Return what says which folder a rule's step fills."""

    def folders(run: Run, name: str) -> Iterator[str]:
        yield run.project.out(kind, name)

    return folders


def record_of(kind: str) -> Callable[[Run, str], Iterator[str]]:
    """Return what says which file a step keeps from run to run."""

    def records(run: Run, name: str) -> Iterator[str]:
        yield run.project.record(kind, name)

    return records


def list_of_copy(run: Run, name: str) -> Iterator[str]:
    yield run.project.record("copy", name)
    yield run.project.out("zipped", name)


def records_of_automatic_layers(run: Run, name: str) -> Iterator[str]:
    from lambdabuild.engine.steps.auto_layers import shared_layers

    if name in shared_layers.IN_FILES:
        yield from (run.project.record(name, layer) for layer in shared_layers.left_by(run.project, name))


# what is not a file


def containers(run: Run, name: str) -> None:
    """Remove the containers that a killed run left."""
    from lambdabuild.engine.containers import pool

    pool.sweep_if_there(run)


def image(run: Run, name: str) -> None:
    """Remove an image. Without an engine there is nothing to remove but files."""
    from lambdabuild.engine.steps.images import images

    receipt = receipts.read(run.project.receipt("image", name))
    try:
        if receipt is not None:
            images.remove(run, name, receipt.result)
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
