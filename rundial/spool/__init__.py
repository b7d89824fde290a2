"""On disk: knows bytes, knows nothing of OTel."""
