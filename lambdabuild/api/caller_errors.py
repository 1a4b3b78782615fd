"""Errors that callers of Lambda Builders catch, and how a mistake in one of our steps becomes one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lambdabuild.api.workflows import Workflow, action_of
from lambdabuild.core.errors import BadRule, InTheWay, LambdaBuildError, ToolMissing


class LambdaBuilderError(LambdaBuildError):
    """The root of all errors of ``LambdaBuilder``; callers of Lambda Builders search its text."""

    def __str__(self) -> str:
        return self.message


class WorkflowNotFoundError(LambdaBuilderError):
    """No rule has the capability that was asked for."""


class WorkflowFailedError(LambdaBuilderError):
    """A build failed; the message says why."""


class UnsupportedManifestError(WorkflowFailedError):
    """The manifest is a file that the workflow does not read."""


class WorkflowUnknownError(LambdaBuilderError):
    """A build failed because of an error that nobody foresaw."""


class SharedProjectNotSupportedError(LambdaBuilderError):
    """No rule does work once for several functions; each is built on its own."""


def failed(flow: Workflow, step: str, reason: str) -> WorkflowFailedError:
    """Return the error of a step in Lambda Builders' words: ``<Workflow>:<Action> - <reason>``."""
    return WorkflowFailedError(f"{flow.name}:{action_of(flow, step)} - {reason}")


@contextmanager
def in_lambda_builders_words(flow: Workflow, step: str) -> Iterator[None]:
    """Raise an error in a step as one that callers know.

    Lambda Builders puts the tool that failed (``Make Failed: ``) in front of its output, and ``Resolver`` in front of a
    missing tool.
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
