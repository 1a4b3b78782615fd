"""The inputs of an image: the files of its folder as Docker sees them, and the images its Dockerfile starts from.

In go a folder, a .dockerignore and a Dockerfile; out come digests, names and one reproducible tar. Nothing here knows
of an engine.
"""
