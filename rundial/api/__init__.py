"""What the user touches: runs, spans, the control client, and the one place where parts are wired."""
