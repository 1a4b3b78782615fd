"""The options of plugins that lambdabuild stands in for -> what its own settings would say, function by function.

In: a serverless.yml with no variable left in it, and a way to ask which files are there. Out: for each function a
``Packing``, layers that a plugin adds, notes and mistakes. Nothing after this knows that there are plugins. A plugin's
options count when it is listed, and when they are there though it no longer is.
"""
