"""``lambdabuild compile`` and ``lambdabuild schema``: what is written of a serverless.yml without a build."""

from __future__ import annotations

import os
import sys

from lambdabuild import project, project_loader
from lambdabuild.cli.parser import Arguments, Command, closest, output_option, wrong


def compile_template(arguments: Arguments) -> int:
    """Write the template of a serverless.yml."""
    output = arguments.options.output
    text, refused = project_loader.compile_text(
        arguments.folder, arguments.settings, lambda line: sys.stderr.write(f"{line}\n")
    )
    if output in ("", "-"):
        sys.stdout.write(text)
    else:
        project_loader.write_file(arguments.path(output), text, project.cache_dir(os.environ))
    if refused is not None:
        raise refused
    return 0


def schema(arguments: Arguments) -> int:
    """Print the schema."""
    text = project_loader.schema_text(arguments.words)
    if text is None:
        words = " ".join(arguments.words)
        known = [name for name in project_loader.SCHEMAS if name]
        hint = closest(words, known, "lambdabuild schema --help shows of what there are schemas")
        raise wrong(f"lambdabuild has no schema of {words!r}", hint)
    sys.stdout.write(text)
    return 0


COMMANDS = {
    "compile": Command(
        "compile",
        "Write the CloudFormation template of a serverless.yml; build nothing",
        compile_template,
        options=output_option,
        examples=(
            ("lambdabuild compile", "print it"),
            ("lambdabuild compile --stage prod --output template.json", "of another stage, to a file"),
        ),
    ),
    "schema": Command(
        "schema",
        "Print the JSON Schema of a serverless.yml, of the settings or of build/manifest.json",
        schema,
        words="[settings|manifest]",
        takes="settings manifest",
        examples=(
            ("lambdabuild schema > serverless.schema.json", "of a serverless.yml"),
            ("lambdabuild schema settings", "of lambdabuild.toml"),
            ("lambdabuild schema manifest", "of what a build writes for other programs"),
        ),
        is_of_project=False,
    ),
}
