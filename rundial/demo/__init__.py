"""The demonstration: a real training run, recorded by a real server on this machine."""
