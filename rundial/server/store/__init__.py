"""What the server keeps: tables, the writes of ingest, and the reads behind the queries."""
