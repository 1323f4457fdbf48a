"""Questions in SQL over the archive: DuckDB on this machine, the same views and queries on Athena."""
