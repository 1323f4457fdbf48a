"""Settings, wiring, logging: what turns the library into a running function or server."""
