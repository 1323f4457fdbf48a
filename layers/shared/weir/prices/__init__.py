"""What a call costs, by price tables compiled into the package."""
