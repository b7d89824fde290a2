"""What checks the web UI and brings its libraries."""
