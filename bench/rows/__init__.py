"""The rows of the table: what is run, what it is held against, and the goal. Each gives figures; ``Figure.is_met`` decides."""

from __future__ import annotations

from bench.figures import Row
from bench.rows import clones, cold, compiled, memory, node, null, packages, patterns, questions, templates, zips

ROWS: tuple[Row, ...] = (
    Row("null_of_many", null.of_many),
    Row("edit_of_many", null.edit_of_many),
    Row("questions", questions.of_many),
    Row("cold", cold.against_zip, 2000),
    Row("cold_sam", cold.against_sam, 2000),
    Row("cold_big", cold.is_linear, 5000),
    Row("memory", memory.of_many, 5000),
    Row("against_sam", packages.against_sam),
    Row("lock_to_zip", zips.lock_to_zip),
    Row("node_modules", node.second_function),
    Row("npm", node.npm),
    Row("esbuild", node.esbuild),
    Row("go", compiled.go),
    Row("rust", compiled.rust),
    Row("maven", compiled.maven),
    Row("gradle", compiled.gradle),
    Row("big_template", templates.big, 1000),
    Row("compile_template", templates.compiled),
    Row("patterns", patterns.of_collections),
    Row("second_clone", clones.second_clone),
)
