"""Output without a screen: exports, summaries, comparisons."""
