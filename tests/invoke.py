"""Call what was built as Lambda would: in an interpreter of its runtime, or by the runtime API of a custom one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from sandbox import python_of
from werkzeug import Request, Response
from werkzeug.serving import make_server

SECONDS = 60

CALL_PYTHON = """
import importlib, json, sys
paths, handler, event = json.loads(sys.argv[1])
sys.path = paths + [path for path in sys.path if "site-packages" not in path and path]
module, _, name = handler.rpartition(".")
print(json.dumps(getattr(importlib.import_module(module), name)(event, None)))
"""
CALL_NODE = """
const [path, event] = JSON.parse(process.argv[1]);
require(path).handler(event).then((answer) => console.log(JSON.stringify(answer)));
"""
CALL_RUBY = """
require "json"
require File.join(ARGV[0], "app")
puts JSON.generate(handler(event: JSON.parse(ARGV[1]), context: nil))
"""
CALL_JAVA = """
import java.util.*;

public class Call {
  public static void main(String[] given) throws Exception {
    Class<?> type = Class.forName(given[0].split("::")[0]);
    Map<String, Object> event = new TreeMap<>();
    for (int at = 1; at < given.length; at += 2)
      event.put(given[at], given[at + 1].matches("-?[0-9]+") ? (Object) Integer.valueOf(given[at + 1]) : given[at + 1]);
    for (var method : type.getMethods())
      if (method.getName().equals(given[0].split("::")[1]) && !method.isBridge()) {
        var arguments = Arrays.copyOf(new Object[] {event}, method.getParameterCount());
        System.out.println(json(method.invoke(type.getConstructor().newInstance(), arguments)));
      }
  }

  static String json(Object value) {
    if (!(value instanceof Map)) return value instanceof Number ? value.toString() : '"' + value.toString() + '"';
    var pairs = new ArrayList<String>();
    ((Map<?, ?>) value).forEach((name, one) -> pairs.add('"' + name.toString() + "\\": " + json(one)));
    return "{" + String.join(", ", pairs) + "}";
  }
}
"""


def python(code: Path, event: object, handler: str = "app.handler", layers: Sequence[Path] = (), **env: str) -> Any:
    """The handler's answer, imported from the artifact and its layers alone, in the order of Lambda's ``sys.path``."""
    of_runtime = "python/lib/python3.11/site-packages"
    paths = [str(code), *(str(layer / folder) for folder in (of_runtime, "python") for layer in layers)]
    command = [python_of("3.11"), "-I", "-S", "-c", CALL_PYTHON, json.dumps([paths, handler, event])]
    return answer(command, code, env)


def node(code: Path, event: object, module: str = "index.js", **env: str) -> Any:
    return answer(["node", "-e", CALL_NODE, json.dumps([str(code / module), event])], code, env)


def ruby(code: Path, event: object, gems: str, **env: str) -> Any:
    """``gems`` is the folder that Lambda's runtime has in GEM_PATH, inside the artifact."""
    command = ["ruby", "-e", CALL_RUBY, str(code), json.dumps(event)]
    return answer(command, code, {"GEM_PATH": str(code / gems), **env})


def java(code: Path, event: Mapping[str, object], handler: str, layers: Sequence[Path] = (), **env: str) -> Any:
    """The class path is the artifact, its ``lib/`` and the layers' ``java/lib/``. Events are flat: numbers and texts."""
    classes = [str(code), f"{code}/lib/*", *(f"{layer}/java/lib/*" for layer in layers)]
    caller = code.parent / "Call.java"
    caller.write_text(CALL_JAVA)
    flat = [str(item) for pair in event.items() for item in pair]
    return answer(["java", "-cp", os.pathsep.join(classes), str(caller), handler, *flat], code, env)


def bootstrap(code: Path, event: object, handler: str = "bootstrap", **env: str) -> Any:
    """The answer of a custom runtime's ``bootstrap`` to one event.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    with runtime_api(event) as (address, answers):
        more = {"AWS_LAMBDA_RUNTIME_API": address, "_HANDLER": handler, "LAMBDA_TASK_ROOT": str(code), **env}
        process = subprocess.Popen(
            [str(code / "bootstrap")], cwd=code, env=environment(more), stderr=subprocess.PIPE, text=True
        )
        try:
            return answers.get(timeout=SECONDS)
        finally:
            process.kill()
            print(process.communicate()[1])


@contextmanager
def runtime_api(event: object) -> Iterator[tuple[str, Queue[Any]]]:
    """A runtime API on loopback that has one event: its ``host:port`` and what was answered."""
    answers: Queue[Any] = Queue()
    events = [json.dumps(event).encode()]
    headers = {
        "Lambda-Runtime-Aws-Request-Id": "8476a536",
        "Lambda-Runtime-Deadline-Ms": "9999999999999",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f",
    }

    @Request.application
    def api(request: Request) -> Response:
        if request.method == "POST":
            answers.put(request.get_json(force=True))
            return Response(status=202)
        return Response(events.pop(), headers=headers, mimetype="application/json") if events else Response(status=500)

    server = make_server("127.0.0.1", 0, api, threaded=True)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", answers
    finally:
        server.shutdown()
        server.server_close()


def answer(command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> Any:
    """What a command prints, as JSON."""
    said = subprocess.run(
        command, cwd=folder, env=environment(env or {}), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **more}
