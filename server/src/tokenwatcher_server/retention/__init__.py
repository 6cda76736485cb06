"""How long events and prompts are kept, and what a person's erasure takes."""
