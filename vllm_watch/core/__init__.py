"""Vocabulary and state: samples, series, runs, the store, states. No files, no own clock."""
