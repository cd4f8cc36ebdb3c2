"""The catalogue: records, holdings and the bitmap index."""
