"""Questions about usage: from an address to a question, from rows to numbers, series and words."""
