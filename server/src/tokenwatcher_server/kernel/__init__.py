"""Small values every other part is built from; knows nothing of HTTP, SQL or settings."""
