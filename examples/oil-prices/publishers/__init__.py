"""A simulator of four publishers of oil prices (EIA, OPEC, IEA, ICE): real shapes, invented figures. See README.md."""
