"""Connectors: ``api`` is the contract; one folder per system; imported through the registry when a document names them."""
