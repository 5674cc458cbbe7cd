"""Bytes from growing files, globs, folders and standard input."""
