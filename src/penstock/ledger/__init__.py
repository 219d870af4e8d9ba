"""The durable memory of runs, epochs, receipts, balances, rejects and schemas."""
