"""The embedding cascade: a small model answers where it is sure to agree with its teacher, a language model the rest."""
