"""Shared by the Java rules: poms, copies of a project, reproducible jars, classes that the runtime can load, failures.

Comes in: folders of classes, jars that a tool made. Goes out: jars, errors, notes. Must not run a tool.
"""
