"""Integrations with real frameworks; `make test-integrations` has an environment for them."""
