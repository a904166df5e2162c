"""A scripted OpenAI-compatible server on loopback, for tests, benchmarks and dry runs.

Tests and benchmarks import `process.serve` and `script.Script`; by hand it is `python -m semtel_dagster.loopback`.
It simulates a provider's quota before one pays for it:

    with serve(Script(limits={"requests_per_minute": 600, "window_s": 1}, latency={"median_s": 0.5})) as server:
        ...  # an endpoint with base_url=server.base_url
        server.stats()["calls_per_conversation"]
"""
