"""The same results outside the terminal: Prometheus, agents, archives."""
