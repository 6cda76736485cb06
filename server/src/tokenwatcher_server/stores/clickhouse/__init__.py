"""Events in ClickHouse, one server or a cluster, for several servers at once."""
