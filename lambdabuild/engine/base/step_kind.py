"""All that anybody has to know about a kind of step: a row of ``engine.steps.kinds.KINDS``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.plan.steps import Planned

Step = tuple[str, str]
"""The kind and the name of a step."""


class StepKind(Struct, frozen=True):
    """A kind of step: what its steps do, depend on, leave behind, and how a cache brings that back.

    Every function is given the project and the step's name. Who walks the graph asks these; nothing else decides by the
    name of a kind.
    """

    title: str
    """Its line in ``doit list``; {} is the step's name."""
    planned: Planned
    inputs: Callable[[Run, str], dict[str, str]]
    """Digests by name of all that the step depends on; nothing else may enter its fingerprint."""
    run: Callable[[Run, str], StepOutput]
    usual_ms: int = 0
    """Its cost in milliseconds until one was recorded."""
    whose: str = "each function and layer"
    """For whom there are such steps, in ``doit list``."""
    is_for_all: bool = False
    """True if its steps are of the project as a whole, and not of a function or layer."""
    needs_all: bool = False
    """True if it needs the last step of every unit."""
    outputs: Callable[[Run, str], Iterable[Output]] = lambda run, name: ()
    """Its outputs outside of the project's state, as far as they are known before it runs."""
    removed: Callable[[Run, str], Iterable[Output]] | None = None
    """The outputs that ``doit clean`` removes; None means all."""
    state: Callable[[Run, str], Iterable[str]] = lambda run, name: ()
    """The files and folders that it keeps in the project's state, besides its receipt."""
    forget: Callable[[Run, str], None] = lambda run, name: None
    """Removes what is not a file, for ``doit clean``."""
    is_intact: Callable[[Run, str, JsonObject], bool] = lambda run, name, values: True
    """True if what it made is still what it made, not deleted or edited by hand."""
    asks_always: Callable[[Run, str], str] = lambda run, name: ""
    """Why it must ask others at every run, though nothing here changed; "" when it need not."""
    reveals: Callable[[Run, str], bool] = lambda run, name: False
    """True if it may read files that nobody knows before it has run."""
    before_run: Callable[[Run, str, Callable[[str, str], str]], list[str]] = lambda run, name, run_again: []
    """Runs steps before it again whose results have gone from where they were sent; returns notes."""
    bytes_of: Callable[[Run, str], Iterable[Step]] = lambda run, name: ()
    """The steps whose files it reads."""
    has_bytes: bool = False
    """True if a cache may leave its files where they are until a step that runs reads them."""
    restore: Callable[[Run, str, Any], bool] | None = None
    """Leaves what a cache's entry says that the step left; None for steps that no cache keeps."""
    after_restore: Callable[[Run, str], None] = lambda run, name: None
    is_self_contained: Callable[[Run, str], bool] = lambda run, name: False
    """True if any process can run it: it needs no network, no container, and shares nothing with other units' steps."""
    can_be_remote: Callable[[Run, str], bool] | None = None
    """True if an executor may run it, None for never."""


def kind_of(index: PlanIndex, kind: str) -> StepKind:
    """Return the row of a kind. Raise KeyError for an unknown one."""
    return cast("StepKind", index.kinds[kind])
