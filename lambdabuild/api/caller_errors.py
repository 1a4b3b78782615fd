"""What callers of Lambda Builders catch, and how a mistake in one of our steps becomes one of these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lambdabuild.api.workflows import Workflow, action_of
from lambdabuild.core.errors import BadRule, InTheWay, LambdaBuildError, ToolMissing


class LambdaBuilderError(LambdaBuildError):
    """The root of what ``LambdaBuilder`` raises; its text is what callers of Lambda Builders look for."""

    def __str__(self) -> str:
        return self.message


class WorkflowNotFoundError(LambdaBuilderError):
    """No rule has the capability that was asked for."""


class WorkflowFailedError(LambdaBuilderError):
    """A build failed for a reason that is told."""


class UnsupportedManifestError(WorkflowFailedError):
    """The manifest is a file that the workflow does not read."""


class WorkflowUnknownError(LambdaBuilderError):
    """A build failed for what nobody foresaw."""


class SharedProjectNotSupportedError(LambdaBuilderError):
    """No rule has work that is done once for several functions; each is built on its own."""


def failed(flow: Workflow, step: str, reason: str) -> WorkflowFailedError:
    """The error of a step, as Lambda Builders words it: ``<Workflow>:<Action> - <reason>``."""
    return WorkflowFailedError(f"{flow.name}:{action_of(flow, step)} - {reason}")


@contextmanager
def as_the_peer_words_it(flow: Workflow, step: str) -> Iterator[None]:
    """Raise what goes wrong in a step as an error that callers know.

    Lambda Builders says which tool failed (``Make Failed: ``) in front of what that printed, and ``Resolver`` for one
    that is not there.
    """
    try:
        yield
    except LambdaBuilderError:
        raise
    except Exception as error:
        if not isinstance(error, LambdaBuildError) or isinstance(error, BadRule):
            raise WorkflowUnknownError(f"{flow.name}:{action_of(flow, step)} - {error}") from error
        if isinstance(error, ToolMissing) and "esbuild" not in error.message:
            raise failed(flow, "Resolver", str(error)) from error
        is_a_tools = step != "copy" and not isinstance(error, InTheWay)
        raise failed(flow, step, f"{flow.failed if is_a_tools else ''}{error}") from error
