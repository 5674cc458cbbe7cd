"""Bytes in, records out: format files compiled, envelopes and bodies read, stamps resolved."""
