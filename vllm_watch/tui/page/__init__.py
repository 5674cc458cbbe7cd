"""The page of one server: its parts, arranged for the available space."""
