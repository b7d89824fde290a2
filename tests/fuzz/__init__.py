"""What anyone may send to the server, mutated without end: `make fuzz`."""
