"""The HTTP routes: one resource a file; parse, ask the store, shape the answer."""
