"""Small passes from document to checked graph, one per file, in one tuple."""
