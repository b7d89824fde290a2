"""The published 1.0.0rc1 client's public surface, and what of it this version lacks."""
