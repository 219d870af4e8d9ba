"""The use cases: the sole entrance for the command line, the server and Python users."""
