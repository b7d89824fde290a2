"""Real processes that are killed, cut off and starved."""
