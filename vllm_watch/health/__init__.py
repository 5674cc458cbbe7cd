"""Health: ranges and rules as data, alerts, findings for people."""
