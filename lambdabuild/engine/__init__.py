"""The shell round doit: plan -> task dicts -> actions. The only place where bytes of a build move."""
