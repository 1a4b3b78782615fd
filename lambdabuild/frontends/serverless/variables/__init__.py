"""``${source(params):address, fallback}`` -> values. Comes in: nodes and a lookup. Goes out: nodes without variables.

Pure given the lookup: nothing here reads a file, a variable of the environment or the network by itself.
"""
