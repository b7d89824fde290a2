"""Points, text lines and spans in ClickHouse, beside a catalog in SQL."""
