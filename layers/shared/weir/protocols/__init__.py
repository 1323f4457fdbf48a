"""Wire formats of the providers, sans-I/O: values in, bytes out, and back."""
