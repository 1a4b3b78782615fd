"""The containers of a run: started when a tool first runs in one, shared by its steps, gone at its end."""
