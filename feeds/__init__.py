"""Recordings, brokers and generators: everything that brings rows to the engine and takes outputs
away."""
