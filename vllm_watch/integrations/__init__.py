"""The same results outside the terminal: Prometheus, agents, browsers, archives."""
