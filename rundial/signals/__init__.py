"""What a record is: pure functions from Python values to OTLP bytes; no I/O, no threads, no clock."""
