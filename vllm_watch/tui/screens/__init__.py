"""Whole screens: the dashboard, and those that open above it."""
