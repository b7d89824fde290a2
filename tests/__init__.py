"""The tests: `unit/` mirrors the package, the other folders are named for what they show."""
