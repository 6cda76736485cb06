"""From bytes to a durable event: body, decode, scope, price, commit (see `pipeline.py`)."""
