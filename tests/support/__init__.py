"""Real, small implementations of the seams, and the hooks that hold the suite to its own rules."""
