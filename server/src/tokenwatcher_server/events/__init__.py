"""What an event is, what can be asked of events, and what a store of them promises."""
