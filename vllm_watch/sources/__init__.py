"""Bytes from files (also compressed and rotated ones), commands and standard input."""
