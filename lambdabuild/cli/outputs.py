"""``lambdabuild output``: build what is named, then print where it is, for other programs."""

from __future__ import annotations

import argparse
import contextlib
import sys

from lambdabuild import project, project_outputs
from lambdabuild.cli import builds
from lambdabuild.cli.parser import Arguments, Command, wrong
from lambdabuild.core.records import replace

TERRAFORM = "terraform"
QUERY = 'query = { name = "Orders" }'


def output(arguments: Arguments) -> int:
    """Build what is not up to date, and print where it is. What the build says goes to standard error."""
    arguments = _with_query(arguments) if arguments.options.target == TERRAFORM else arguments
    if arguments.options.all:
        return _output_all(arguments)
    if not arguments.words:
        raise wrong("lambdabuild output: name a function, a layer or a source", "lambdabuild list shows them")
    _, last_run = project.nothing_to_do(arguments.folder, arguments.settings, arguments.words)
    items = project_outputs.current(last_run, arguments.words, arguments.here)
    if items is None:
        with contextlib.redirect_stdout(sys.stderr):
            status, run = builds.build_named(arguments, project_outputs.tasks)
        if status:
            return status
        items = project_outputs.built(run, arguments.words, arguments.here)
    sys.stdout.write(project_outputs.FORMATS[arguments.options.target](items))
    return 0


def _output_all(arguments: Arguments) -> int:
    """Build everything, and print it by name, as manifest.json has it."""
    target = arguments.options.target
    if arguments.words or target == TERRAFORM:
        raise wrong("lambdabuild output --all names everything, so it takes no names", "leave out --all, or the names")
    said, last_run = project.nothing_to_do(arguments.folder, arguments.settings, [])
    if said is None or last_run is None:
        with contextlib.redirect_stdout(sys.stderr):
            status, run = builds.build_named(arguments, lambda *_: ())
        if status:
            return status
        build_dir = run.project.build_dir
    else:
        build_dir = last_run.place
    items = project_outputs.everything(build_dir, arguments.here)
    text = project_outputs.all_as_json(items) if target == "json" else project_outputs.FORMATS[target](items)
    sys.stdout.write(text)
    return 0


def _with_query(arguments: Arguments) -> Arguments:
    """Return the command line with Terraform's query, which is on standard input: a name, and settings."""
    is_asked = sys.stdin is not None and not sys.stdin.isatty()
    query = project_outputs.query_of(sys.stdin.read() if is_asked else "")
    if query is None:
        raise wrong("lambdabuild output: the query on standard input is no JSON object of texts", QUERY)
    names = [*arguments.words, *([query.pop("name")] if "name" in query else [])]
    if len(names) != 1:
        raise wrong("lambdabuild output --for terraform takes one name", f"name one function or layer: {QUERY}")
    return replace(arguments, words=names, settings={**query, **arguments.settings})


def _options(parser: argparse.ArgumentParser) -> None:
    help = "who reads it: a program (JSON), Terraform's external data source, the AWS CDK, a shell"
    parser.add_argument("--for", dest="target", choices=tuple(project_outputs.FORMATS), default="json", help=help)
    parser.add_argument("--all", action="store_true", help="everything, as an object by name, instead of names")
    builds.options(parser)


COMMANDS = {
    "output": Command(
        "output",
        "Build what is named if it is not up to date, and print where it is and its digests",
        output,
        words="NAME ...",
        takes="functions",
        options=_options,
        about="Paths are as seen from the current folder. What the build says goes to standard error.",
        examples=(
            ("lambdabuild output Orders", "zip, folder, sha256, size, location and layers as JSON"),
            ("lambdabuild output --all", "the same of all functions, layers and sources, by name"),
            ('eval "$(lambdabuild output Orders --for env)"', "as variables: ORDERS_ZIP, ORDERS_CODE_SHA256 ..."),
            ("lambdabuild output Orders --for terraform", 'the protocol of data "external"'),
        ),
        exits=builds.RAN,
    ),
}
