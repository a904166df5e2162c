"""Token counting, side by side: MB/s of one core, for this project's counter, the truncation stage, and tiktoken.

    python -m benchmarks.tokens [conversations.parquet]

Without a file it counts ShareGPT, which needs shared/data beside the checkout: made-up text is far too easy, since
words that repeat are remembered. tiktoken is measured where it is installed (`pip install tiktoken`), with the
vocabulary of the installed counter, so that nothing is downloaded; counts must agree.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.generate import default_bank
from semtel_dagster.settings import TruncateSettings
from semtel_dagster.stages.tokens import count_tokens, token_ends
from semtel_dagster.stages.truncate import truncate_turns
from semtel_dagster.transcript import Turn, render

ROUNDS = 3


def conversations(path: Path) -> list[list[Turn]]:
    column = pq.read_table(path, columns=["messages"]).column("messages").to_pylist()
    return [[Turn(message["role"], message["content"] or "") for message in messages] for messages in column]


def tiktoken_counter() -> Callable[[str], int] | None:
    if importlib.util.find_spec("tiktoken") is None:
        return None
    import quicktok
    import tiktoken
    from tiktoken_ext import openai_public

    encoding = quicktok.get_encoding("o200k_base")
    ranks = {encoding.decode_single_token_bytes(token): token for token in range(len(encoding.token_byte_values()))}
    openai_public.load_tiktoken_bpe = lambda *_, **__: ranks
    peer = tiktoken.Encoding(**openai_public.o200k_base())
    return lambda text: len(peer.encode_ordinary(text))


def best(work: Callable[[], object]) -> float:
    def seconds() -> float:
        start = time.process_time()  # CPU: what a core does, however many others wait for it
        work()
        return time.process_time() - start

    return min(seconds() for _ in range(ROUNDS))


def main() -> None:
    turns = conversations(Path(sys.argv[1]) if len(sys.argv) > 1 else default_bank())
    texts = [render(conversation) for conversation in turns]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    count_tokens("warm up")
    token_ends(["warm up"])
    batches = list(pairwise([*range(0, len(texts), 500), len(texts)]))
    results = {
        "count_tokens": best(lambda: [count_tokens(text) for text in texts]),
        "token_ends, by 500": best(lambda: [token_ends(texts[first:last]) for first, last in batches]),
        "render": best(lambda: [render(conversation) for conversation in turns]),
        "truncate to 2,000": best(
            lambda: [truncate_turns(turns[first:last], TruncateSettings()) for first, last in batches]
        ),
    }
    peer = tiktoken_counter()
    if peer is not None:
        assert [peer(text) for text in texts] == [count_tokens(text) for text in texts]
        results["tiktoken"] = best(lambda: [peer(text) for text in texts])
    print(f"{len(texts)} conversations, {megabytes:.1f} MB, CPU time, best of {ROUNDS}")
    for name, seconds in results.items():
        ratio = f", {results['tiktoken'] / seconds:.1f} x tiktoken" if peer else ""
        print(f"{name:20} {megabytes / seconds:7.1f} MB/s{ratio}")


if __name__ == "__main__":
    main()
