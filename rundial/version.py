"""The version, in one place; a leaf, so that everything may name it."""

from __future__ import annotations

__version__ = "1.1.0.dev0"
