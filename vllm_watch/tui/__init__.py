"""The screen. Only this package uses Textual."""
