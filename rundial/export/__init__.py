"""On the wire: frames to requests, answers to outcomes."""
