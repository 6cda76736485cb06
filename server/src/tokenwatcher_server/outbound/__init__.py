"""The one way out for requests to addresses that people enter: vetted, bounded, to one place."""
