"""Every path against its floor and its peers, measured in one run: `make bench`."""
