"""The lambdabuild command: words of a command line -> what ``project`` is asked -> text and an exit code.

``main`` answers a run with nothing to do by itself (``quick``); everything else goes through ``commands``, the table
from a command to the module that has its parser. Only what was asked for is imported, and nothing here builds.
"""
