"""A stranger's recomputation of what the engine says, and what it compares."""
