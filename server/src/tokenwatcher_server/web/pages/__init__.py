"""The pages: each a handler that reads, asks, shapes and renders, with its context beside it."""
