"""Shared by the Python rules: targets, locks, a store of wheels. Must not know templates, plans or doit.

Comes in: a Job with a manifest. Goes out: a Result whose parts are wheels in the machine's store.

    manifest --resolvers--> lock --locks--> choices --fetch, local--> parts
"""
