"""nodejs_npm_esbuild: tsconfig.json files, and what they lead to, outside the code folder."""

import json
import subprocess

from rule_example import call_node, function, template
from sandbox import Sandbox

PACKAGE = {"devDependencies": {"esbuild": "0.25.0", "@tsconfig/node20": "20.1.5"}, "dependencies": {"ms": "2.1.3"}}


def bundled(properties: str = "", source: str = "services/pay") -> str:
    metadata = f"    Metadata: {{BuildMethod: esbuild, BuildProperties: {{{properties}}}}}\n"
    return function(source, "nodejs22.x", "app.handler", metadata=metadata)


def shop(project: Sandbox, resource: str, **files: object) -> Sandbox:
    return project.write({
        "template.yaml": template(resource), "package.json": json.dumps(PACKAGE),
        "shared/log.ts": "import {end} from './end.js'\nexport const log = (text: string) => text + end\n",
        "shared/end.ts": "export const end: string = '!'\n",
        "shared/time/index.ts": "import ms from 'ms'\nexport default ms('1s')\n",
        **{name: text if isinstance(text, str) else json.dumps(text) for name, text in files.items()},
    })  # fmt: skip


def answer(project: Sandbox) -> object:
    return call_node(project, {}, module="app.js")


APP = """\
import {log} from '@shared/log'
import time from '@shared/time'
export const handler = async () => [log('a'), time]
"""
BASE = """\
{
  // where shared code is
  "compilerOptions": {"baseUrl": "..", "paths": {"@shared/*": ["no/*", "shared/*"],},},
}
"""


def test_paths_that_lead_out_of_the_folder_are_followed_and_are_inputs(project: Sandbox) -> None:
    paths = {"compilerOptions": {"paths": {"@shared/*": ["../../shared/*"]}}}
    shop(project, bundled(), **{"services/pay/app.ts": APP, "services/pay/tsconfig.json": paths}).build()
    assert answer(project) == ["a!", 1000]
    assert project.build().steps == []

    project.write({"shared/end.ts": "export const end = '?'\n"})
    assert "shared/end.ts changed" in project.run("why", "Example").out
    project.build()
    assert answer(project) == ["a?", 1000]

    project.write({"shared/unused.ts": "export {}\n"})
    assert project.build().steps == []


def test_a_tsconfig_extends_others_above_it_and_from_packages(project: Sandbox) -> None:
    own = {"extends": ["@tsconfig/node20/tsconfig.json", "../../config/base"]}
    files = {"services/pay/app.ts": APP, "services/pay/tsconfig.json": own, "config/base.json": BASE}
    shop(project, bundled(), **files).build()
    assert answer(project) == ["a!", 1000]

    project.write({"other/log.ts": "export const log = () => 'other'\n", "other/time.ts": "export default 5\n"})
    project.write({"config/base.json": BASE.replace('"shared/*"', '"other/*"')})
    assert "config/base.json changed" in project.run("why", "Example").out
    project.build()
    assert answer(project) == ["other", 5]


def test_a_tsconfig_above_the_code_folder_counts_as_far_as_the_checkout(project: Sandbox) -> None:
    config = {
        "compilerOptions": {"baseUrl": ".", "jsxFactory": "tag"},
        "files": [],
        "references": [{"path": "services/pay"}],
    }
    app = APP.replace("@shared", "shared").replace("log('a')", "<b/>") + "const tag = (name: string) => log(name)\n"
    shop(project, bundled("EntryPoints: [app.tsx]"), **{"services/pay/app.tsx": app, "tsconfig.json": config})
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    inner = Sandbox(project.path("services/pay"))
    inner.write({"template.yaml": template(bundled("EntryPoints: [app.tsx]", "."))}).build()
    assert answer(inner) == ["b!", 1000]
    assert inner.build().steps == []

    nearer = {"compilerOptions": {"baseUrl": "..", "jsxFactory": "log"}}
    project.write({"services/tsconfig.json": json.dumps(nearer), "shared/end.ts": "export const end = '?'\n"})
    assert "../tsconfig.json is new" in inner.run("why", "Example").out
    inner.build()
    assert answer(inner) == ["b?", 1000]


def test_the_option_tsconfig_names_another(project: Sandbox) -> None:
    config = {"compilerOptions": {"paths": {"@shared/log": ["../shared/log"], "@shared/*": ["../shared/*"]}}}
    shop(
        project,
        bundled("Tsconfig: ../../config/build.json"),
        **{"services/pay/app.ts": APP, "config/build.json": config},
    ).build()
    assert answer(project) == ["a!", 1000]


def test_a_path_that_leads_nowhere_is_told_with_the_import(project: Sandbox) -> None:
    config = {"compilerOptions": {"paths": {"@shared/*": ["../../gone/*"]}}}
    shop(project, bundled(), **{"services/pay/app.ts": APP, "services/pay/tsconfig.json": config})
    ran = project.run("build")

    assert ran.code == 1
    assert "services/pay/app.ts:1:" in ran.said and "@shared/log" in ran.said
