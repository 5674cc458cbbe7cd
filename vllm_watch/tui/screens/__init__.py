"""Whole screens: the dashboard, the help."""
