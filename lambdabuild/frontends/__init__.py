"""text -> Service. Comes in: a path and a way to read. Goes out: a Service.

Must not touch the disk by any other way than the ``Files`` it is given.
"""
