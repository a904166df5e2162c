"""The official package: its typed call over its default transport, httpx2."""

from __future__ import annotations

from ask_openai import client_over
from measuring import main

if __name__ == "__main__":
    main(client_over(lambda: None))
