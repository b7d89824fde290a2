"""The calls of `rundial.Client`, one file a noun: each function is a method of the client."""
