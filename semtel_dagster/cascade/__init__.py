"""The embedding cascade: a small model answers where it surely agrees with its teacher; the rest is asked."""
