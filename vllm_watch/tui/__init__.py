"""The screen: Textual, and nothing below it knows."""
