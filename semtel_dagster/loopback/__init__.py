"""A scripted OpenAI-compatible server on loopback, for tests, benchmarks and dry runs."""
