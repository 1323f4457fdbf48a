"""Where providers are, how they want to be addressed, and the only HTTP client that calls them."""
