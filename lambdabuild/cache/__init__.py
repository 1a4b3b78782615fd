"""Steps that were run before, on this machine or another: a key and a digest go in, a record and bytes come out.

Knows nothing of rules, plans or doit. What comes out is verified; what goes wrong is a miss, never an error.
"""
