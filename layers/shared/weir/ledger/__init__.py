"""The durable record of every call: ports, and their engines."""
