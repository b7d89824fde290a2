"""Tests of the names of other trackers over our runs."""
