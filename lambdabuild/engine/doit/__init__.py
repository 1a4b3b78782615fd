"""doit's side of the engine: tasks, how a project is loaded, what a person sees of a run."""
