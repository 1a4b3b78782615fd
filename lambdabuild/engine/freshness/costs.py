"""How long steps took when they were last run: from the project's state, or from a file that was made of one."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable

from lambdabuild.core import regular
from lambdabuild.core.errors import BadCosts
from lambdabuild.core.spans import Span
from lambdabuild.engine.base.receipts import Saved
from lambdabuild.engine.base.run import Run
from lambdabuild.plan.shards import Costs, estimated
from lambdabuild.plan.steps import Graph
from lambdabuild.plan.types import Build

VERSION = 1


def recorded(graph: Graph, units: Iterable[str], saved: Saved) -> dict[str, int]:
    """Return what is known of the steps of some units, in milliseconds."""
    names = {step.task for unit in units for step in graph.chain(unit)}
    seconds_of = {name: saved(name).get("seconds") for name in sorted(names)}
    return {name: round(seconds * 1000) for name, seconds in seconds_of.items() if isinstance(seconds, int | float)}


def slowest_first(run: Run, left_out: Container[str]) -> list[Build]:
    """The builds that are not left out, so that no processor waits at the end for one that began late."""
    builds = [build for build in run.index.plan.builds if build.name not in left_out]
    known = recorded(run.index.graph, [build.name for build in builds], run.saved) if len(builds) > 1 else {}
    if not known:
        return builds
    costs = estimated(run.index.plan, run.index.graph, run.index.kinds, known)
    return sorted(builds, key=lambda build: -sum(costs[step.task] for step in run.index.graph.chain(build.name)))


def as_text(costs: Costs) -> str:
    """Costs as a file that can be kept with the source: a line a step, sorted."""
    seconds = {name: costs[name] / 1000 for name in sorted(costs)}
    return json.dumps({"version": VERSION, "seconds": seconds}, indent=1) + "\n"


def from_file(path: str) -> dict[str, int]:
    """Costs that ``as_text`` wrote. Raises BadCosts (LB633)."""
    try:
        with open(path, encoding="utf-8", opener=regular.opener) as stream:
            data = regular.json(stream.read())
        if data["version"] != VERSION:
            raise ValueError(f"it is of version {data['version']!r}, and this lambdabuild reads {VERSION}")
        return {str(name): round(float(seconds) * 1000) for name, seconds in data["seconds"].items()}
    except OSError as error:
        raise _bad(path, str(error.strerror)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad(path, f"{type(error).__name__}: {error}") from error


def _bad(path: str, why: str) -> BadCosts:
    name = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
    return BadCosts(f"cannot read the costs {name}: {why}", where=Span(name), help=f"lambdabuild costs --output {name}")
