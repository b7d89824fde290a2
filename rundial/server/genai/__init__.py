"""Spans of agents, models and tools, from whatever convention they are written in, as one view."""
