"""What lambdabuild takes, against its peers, in one run: ``doit bench`` writes results.md.

services (made) --measure (in turn)--> Taken --rows--> ratios --report--> results.md
"""
