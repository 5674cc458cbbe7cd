"""The same knowledge beyond the terminal: Prometheus, agents, archives."""
