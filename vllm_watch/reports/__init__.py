"""The same knowledge without a screen: exports, summaries, comparisons."""
