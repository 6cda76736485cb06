"""Counters for `/metrics`, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class Metrics:
    """What one server has counted since it started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "tokenwatcher_events",
            "Events acknowledged, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        # bound once: looking a label up costs more than counting
        self.stored_events = self.events.labels("stored")
        self.duplicate_events = self.events.labels("duplicate")
        self.refused = Counter(
            "tokenwatcher_requests_refused",
            "Ingest requests refused, by the code of the answer",
            ["code"],
            registry=self.registry,
        )
        self.unknown_fields = Counter(
            "tokenwatcher_unknown_fields",
            "Fields in events that this version does not know and ignored",
            registry=self.registry,
        )
        self.csp_violations = Counter(
            "tokenwatcher_csp_violations",
            "Violations of the content security policy that browsers reported",
            registry=self.registry,
        )
        self.unpriced = Counter(
            "tokenwatcher_unpriced_events",
            "Usage events stored without a known price",
            registry=self.registry,
        )
        self.acknowledge_seconds = Histogram(
            "tokenwatcher_acknowledge_seconds",
            "From the first byte of an ingest request to its acknowledgement",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
