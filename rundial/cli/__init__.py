"""The command line: one command group a file; parse, call, print; no logic."""
