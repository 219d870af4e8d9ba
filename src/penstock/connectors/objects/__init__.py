"""Object stores (Amazon S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage), through obstore.

What every connector of files shares: the connection as a document writes it, one door to the driver with its errors as
ours, and a bounded folder of local copies that the engine's own readers read. Nothing here knows a format of files.
"""
