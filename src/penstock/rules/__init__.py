"""What a document demands of rows: one file per rule, with its parameters and what violates it."""
