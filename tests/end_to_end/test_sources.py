"""[sources]: a distribution of the project's own, built by its own backend and published under its version."""

from __future__ import annotations

from sandbox import Sandbox


def test_a_project_whose_settings_say_what_to_build_needs_no_template(project: Sandbox) -> None:
    project.write({"lambdabuild.toml": "[sources.app]\n"})

    assert project.run("build").code == 0
    for command in ("list", "list --all", "plan", "why", "clean", "init"):
        ran = project.run(*command.split())
        assert (ran.code, "template" in ran.out) == (0, False), ran.said
    project.write({"lambdabuild.toml": ""})
    refused = project.run("build")
    assert refused.code == 3
    assert "LB101" in refused.err
    assert "[sources.NAME]" in refused.err
