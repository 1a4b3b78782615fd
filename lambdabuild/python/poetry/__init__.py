"""Poetry's own formats: its lock, its manifest, its constraints, its sources -> what is to be installed."""
