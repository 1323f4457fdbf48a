"""Use cases: what Weir does, free of HTTP and of engines."""
