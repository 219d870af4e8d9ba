"""Named crash points; off unless asked for."""
