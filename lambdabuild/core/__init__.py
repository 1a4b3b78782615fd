"""The ground of everything: errors, places in files, the model, names, running a program. Imports nothing else."""
