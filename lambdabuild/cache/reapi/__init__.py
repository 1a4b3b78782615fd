"""Servers of the Remote Execution API v2: messages go in; a cache, and an executor of commands, come out.

Only ``channel`` knows gRPC. Nothing here decides what is cached, or run elsewhere.
"""
