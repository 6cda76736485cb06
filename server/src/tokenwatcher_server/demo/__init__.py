"""A made-up company's usage: ninety days of history, then live traffic; for demonstrations."""
