"""Other trackers' names over a Rundial run, for scripts that change nothing but an import.

Each is imported only when it is used; none of them imports the tracker that it stands in for.
"""
