"""Readers of what other trackers leave on disk, and the one way in which it becomes runs here.

None of them imports the tracker whose files it reads.
"""
