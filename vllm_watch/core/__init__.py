"""Vocabulary and state: samples, series, runs, the store, states. Pure: no files, no clock of its own."""
