"""The slow engine: asks every product at every tick, in plain Python. It is the definition; keep it
simple for ever."""
