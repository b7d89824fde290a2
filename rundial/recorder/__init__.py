"""In memory: the bounded, counted, crash-proof way of a record from the call to a frame."""
