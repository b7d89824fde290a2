"""The tables of artifacts. A name holds versions, a version holds files, a file is a blob of its project.

A blob belongs to one project: what one project has is never told to another, not even by a faster upload.
A blob is alive while a row of `artifact_files` points to it; versions that are still being uploaded have
rows there too, so nothing in flight is ever collected.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from rundial.server.store.tables import metadata

# What pages are ordered by: everywhere in the order of its bytes, whatever the database's language.
_ORDERED: Final = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite makes a 64-bit row id of an INTEGER primary key only when it is spelled just so.
_ID: Final = BigInteger().with_variant(Integer, "sqlite")

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    # The number of the next version: taken with an UPDATE, which two writers cannot do at once.
    Column("next_version", Integer, nullable=False, default=0),
    Column("created_unix_ns", BigInteger, nullable=False),
    UniqueConstraint("project_id", "name"),
)

versions: Final = Table(
    "artifact_versions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("artifact", _ID, ForeignKey("artifacts.id"), nullable=False),
    # NULL until it is finalized: an upload that fails leaves no gap.
    Column("version", Integer),
    Column("state", Text, nullable=False),
    Column("run", _ID, ForeignKey("runs.id")),
    Column("type", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("step", BigInteger),
    Column("digest", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("file_count", Integer, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("finalized_unix_ns", BigInteger),
    Column("expires_unix_ns", BigInteger),
    UniqueConstraint("artifact", "version"),
    Index("versions_by_run", "run"),
    Index("versions_by_expiry", "expires_unix_ns"),
)

aliases: Final = Table(
    "artifact_aliases",
    metadata,
    Column("artifact", _ID, ForeignKey("artifacts.id"), primary_key=True, autoincrement=False),
    Column("alias", _ORDERED, primary_key=True),
    Column("version", _ID, ForeignKey("artifact_versions.id"), nullable=False),
    Index("aliases_by_version", "version"),
)

blobs: Final = Table(
    "blobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("place", Text, nullable=False, unique=True),
    Column("created_unix_ns", BigInteger, nullable=False),
    UniqueConstraint("project_id", "sha256"),
)

files: Final = Table(
    "artifact_files",
    metadata,
    Column("version", _ID, ForeignKey("artifact_versions.id"), primary_key=True, autoincrement=False),
    Column("path", _ORDERED, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
    # NULL until the blob is there.
    Column("blob", _ID, ForeignKey("blobs.id")),
    Index("files_by_blob", "blob"),
    Index("files_by_content", "version", "sha256"),
)

references: Final = Table(
    "artifact_references",
    metadata,
    Column("version", _ID, ForeignKey("artifact_versions.id"), primary_key=True, autoincrement=False),
    Column("path", _ORDERED, primary_key=True),
    Column("uri", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("sha256", Text),
)

uploads: Final = Table(
    "artifact_uploads",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("version", _ID, ForeignKey("artifact_versions.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("aliases", Text, nullable=False),
    # Project, run and the client's own key of an open or finished upload: the same one is one upload.
    Column("once", Text, unique=True),
    # What it became: its own version, or an older one with the same content.
    Column("result", _ID, ForeignKey("artifact_versions.id")),
    Column("touched_unix_ns", BigInteger, nullable=False),
    Index("uploads_by_state", "state", "touched_unix_ns"),
)

arrivals: Final = Table(
    "artifact_arrivals",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("upload", _ID, ForeignKey("artifact_uploads.id"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("lasting", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("has_begun", Boolean, nullable=False),
    Column("is_kept", Boolean, nullable=False),
    UniqueConstraint("upload", "sha256"),
)

links: Final = Table(
    "artifact_links",
    metadata,
    Column("version", _ID, ForeignKey("artifact_versions.id"), primary_key=True, autoincrement=False),
    Column("run", _ID, ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("unix_ns", BigInteger, nullable=False),
    Index("links_by_run", "run"),
)

# What no row points to any more and the store still has: noted with the change, dropped after its commit.
doomed: Final = Table(
    "doomed_blobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("place", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

media: Final = Table(
    "media",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", _ID, ForeignKey("runs.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("time_unix_ns", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("identity", LargeBinary(16), nullable=False),
    UniqueConstraint("run", "identity"),
    Index("media_by_key", "run", "key", "step", "id"),
)
