"""Steps in processes of their own, where Python's lock does not make one processor do the work of all."""
