"""The other end: takes OTLP, keeps runs, answers queries; never imported by the client's stages.

    POST /v1/*  ──► guard ──► bounded body ──► decode (worker thread) ──► writer (one thread) ──► SQLite
    /api/v1/*   ──► guard ──► routes ────────► reads (worker thread), changes (the writer)

Nothing here runs inside a training process. A 2xx is sent after the commit, never before.
"""
