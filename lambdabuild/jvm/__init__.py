"""What the Java rules share: jars that are the same on every machine, and classes that the runtime can load.

Comes in: folders of classes, jars that a tool made. Goes out: jars, errors, notes. Must not run a tool.
"""
