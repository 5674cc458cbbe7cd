"""Is it well? Ranges and rules as data, the alert machine, findings for a person."""
