"""JSON for programs. Each module lists its handlers in ROUTES; `web/routes.py` lists them all."""
