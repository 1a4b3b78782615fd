"""Where Lambda's runtimes look for a handler: the paths of an artifact stand next to what is found in it."""

from __future__ import annotations

import pytest

from lambdabuild.core.handlers import OPT, TASK, Files, alike, finder_of

P312, NODE, RUBY, JAVA, NET = "python3.12", "nodejs22.x", "ruby3.3", "java21", "dotnet8"
CUSTOM, GO = "provided.al2023", "go1.x"


def files(code: str = "", opt: str = "", jars: dict[str, str] | None = None) -> Files:
    """Paths parted by blanks; one that ends with a star is executable."""

    def of(text: str) -> dict[str, bool]:
        return {path.rstrip("*"): path.endswith("*") for path in text.split()}

    held = jars or {}
    return Files(of(code), of(opt), lambda names, name: any(held.get(jar) == name for jar in names))


def missing(runtime: str, handler: str, there: Files) -> str:
    finder = finder_of(runtime)
    assert finder is not None
    return finder.missing(handler, runtime, there)


@pytest.mark.parametrize(
    ("runtime", "handler", "there"),
    [
        (P312, "app.handler", files("app.py")),
        (P312, "app.handler", files("app/__init__.py")),
        (P312, "app.handler", files("app.pyc")),
        (P312, "src.orders.app.handler", files("src/orders/app.py")),
        (P312, "src/orders/app.handler", files("src/__init__.py src/orders/app.py")),
        (P312, "app.handler", files("app.cpython-312-x86_64-linux-gnu.so")),
        (P312, "app.handler", files("app.abi3.so")),
        (P312, "datadog_lambda.handler.handler", files("app.py", "python/datadog_lambda/handler.py")),
        (P312, "wrap.handler", files("", "python/lib/python3.12/site-packages/wrap/__init__.py")),
        (P312, "a.b.handler", files("a/other.py", "python/a/b.py")),
        (NODE, "index.handler", files("index.js")),
        (NODE, "index.handler", files("index.mjs")),
        (NODE, "index.handler", files("index.cjs")),
        (NODE, "src/index.handler", files("src/index.mjs")),
        (NODE, "./src/index.handler", files("src/index.js")),
        (NODE, "/var/task/src/index.handler", files("src/index.js")),
        (NODE, "orders.handler", files("orders/index.js")),
        (NODE, "orders.handler", files("orders/package.json orders/lib/main.js")),
        (NODE, "v1.2/orders.api.get", files("v1.2/orders.js")),
        (NODE, "wrapper.handler", files("node_modules/wrapper/index.js")),
        (NODE, "wrapper.handler", files("app.js", "nodejs/node22/node_modules/wrapper/package.json")),
        (NODE, "/opt/nodejs/node_modules/dd/handler.handler", files("", "nodejs/node_modules/dd/handler.mjs")),
        (RUBY, "app.handler", files("app.rb")),
        (RUBY, "src/app.Orders::Api.call", files("src/app.rb")),
        (RUBY, "wrapper.run", files("", "ruby/lib/wrapper.rb")),
        (RUBY, "lamby.run", files("vendor/bundle/ruby/3.3.0/gems/lamby-6.0/lib/lamby.rb")),
        (JAVA, "com.shop.Orders::handle", files("com/shop/Orders.class")),
        (JAVA, "com.shop.Orders", files("lib/shop.jar", jars={TASK + "lib/shop.jar": "com/shop/Orders.class"})),
        (JAVA, "io.Q::run", files("a.class", "java/lib/q.jar", jars={OPT + "java/lib/q.jar": "io/Q.class"})),
        (NET, "Shop::Shop.Orders::Handle", files("Shop.dll")),
        (NET, "Shop.Orders", files("Shop.Orders.dll Shop.Orders.runtimeconfig.json")),
        (CUSTOM, "whatever", files("bootstrap*")),
        ("provided", "whatever", files("app", "bootstrap*")),
        (GO, "bin/main", files("bin/main*")),
    ],
)  # fmt: skip
def test_a_handler_is_found_where_its_runtime_looks(runtime: str, handler: str, there: Files) -> None:
    assert missing(runtime, handler, there) == ""


@pytest.mark.parametrize(
    ("runtime", "handler", "there", "words"),
    [
        (P312, "app.handler", files("src/app.py"), "there is no app.py, and no app/__init__.py"),
        (P312, "src/app.handler", files("app.py"), "there is no src/app.py"),
        (P312, "app.handler", files("app/other.py"), "there is no app.py"),  # a namespace package has no functions
        (P312, "app.handler", files("__pycache__/app.cpython-312.pyc"), "there is no app.py"),
        (P312, "app.handler", files("app.cpython-311-x86_64-linux-gnu.so"), "there is no app.py"),
        (P312, "a.b.handler", files("a.py a/b.py"), "there is no a/b.py"),  # a.py is what `a` is
        (P312, "a.b.handler", files("a/__init__.py", "python/a/b.py"), "there is no a/b.py"),
        (P312, "app.handler", files("", "app.py"), "there is no app.py"),  # /opt itself is not on the path
        (P312, "handler", files("handler.py"), "'handler' is no module.function"),
        (P312, "./app.handler", files("app.py"), "is no module.function"),
        (NODE, "src/handlers/orders.handler", files("orders.js"), "there is no src/handlers/orders.js"),
        (NODE, "h.handler", files("h.ts"), "there is no h.js"),
        (NODE, "orders.v1.handler", files("orders.v1.js"), "there is no orders.js"),
        (NODE, "orders.handler", files("orders/index.mjs"), "there is no orders.js"),
        (NODE, "../app.handler", files("app.js"), "is no module.function"),
        (NODE, "handler", files("handler.js"), "is no module.function"),
        (NODE, "/opt/x.handler", files("x.js"), "there is no x.js"),
        (RUBY, "app.handler", files("lib/app.rb"), "there is no app.rb"),
        (RUBY, "a.b.c.d", files("a.rb"), "is neither file.method nor file.Class.method"),
        (JAVA, "com.shop.Orders::handle", files("src/com/shop/Orders.class"), "there is no com/shop/Orders.class"),
        (JAVA, "a.B", files("x.jar", jars={TASK + "x.jar": "a/B.class"}), "there is no a/B.class"),  # not in lib/
        (NET, "Shop::Shop.Orders::Handle", files("shop.dll"), "there is no Shop.dll"),
        (CUSTOM, "bootstrap", files("bootstrap"), "bootstrap is not executable"),
        (CUSTOM, "main", files("main* bin/bootstrap*"), "there is no bootstrap"),
        (GO, "main", files("main"), "main is not executable"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_words(runtime: str, handler: str, there: Files, words: str) -> None:
    assert words in missing(runtime, handler, there)


def test_nobody_looks_for_the_handler_of_a_runtime_that_is_not_in_the_table() -> None:
    assert finder_of("cobol1.x") is None


@pytest.mark.parametrize(
    ("runtime", "handler", "paths", "meant"),
    [
        (NODE, "orders.handler", "src/handlers/orders.js src/other.js", ["src/handlers/orders.handler"]),
        (NODE, "src/a/Orders.api.get", "a/orders.mjs", ["a/orders.api.get"]),
        (NODE, "app.handler", "app.ts", [""]),
        (NODE, "order.handler", "orders/index.js", ["orders/index.handler"]),
        (P312, "src/app.handler", "app.py zoo.py", ["app.handler"]),
        (P312, "app.handler", "shop/app/__init__.py", ["shop.app.handler"]),
        (RUBY, "app.Orders.call", "lib/app.rb", ["lib/app.Orders.call"]),
        (JAVA, "shop.Orders::handle", "com/shop/Orders.class", ["com.shop.Orders::handle"]),
        (NET, "shop::Shop.A::B", "Shop.dll", ["Shop::Shop.A::B"]),
        (P312, "app.handler", "README.md zebra.py", []),
    ],
)  # fmt: skip
def test_what_looks_alike_is_named_as_a_handler(runtime: str, handler: str, paths: str, meant: list[str]) -> None:
    finder = finder_of(runtime)
    assert finder is not None
    assert [finder.named(path, handler) for path in alike(finder, handler, paths.split())] == meant
