"""Panes of the screen: each draws one part of a frozen view."""
