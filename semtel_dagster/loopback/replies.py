"""The bodies of replies, in the shapes that OpenAI-compatible servers and Azure send.

Pure functions from values to bytes; status lines and headers belong in `wire`.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson

from semtel_dagster.loopback.chance import unit
from semtel_dagster.loopback.limits import duration

HTML = (
    b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n"
    b"<body><center><h1>502 Bad Gateway</h1></center><hr><center>proxy</center></body></html>\n"
)
_CREATED = 1_790_000_000


def completion(
    *,
    number: int,
    model: str,
    text: str,
    finish_reason: str,
    tokens: tuple[int, int, int],
    logprobs: dict[str, Any] | None = None,
) -> bytes:
    """A chat completion; `tokens` are prompt, cached and completion tokens."""
    prompt, cached, output = tokens
    return orjson.dumps(
        {
            "id": f"chatcmpl-loopback{number}",
            "object": "chat.completion",
            "created": _CREATED,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": logprobs,
                    "finish_reason": finish_reason,
                }
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": output,
                "total_tokens": prompt + output,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
            "system_fingerprint": "fp_loopback",
        }
    )


def token_logprobs(text: str, top: int, seed: int, key: bytes) -> dict[str, Any]:
    """Log-probabilities of an answer in pieces of four characters; deterministic by the key."""
    pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
    content = []
    for at, piece in enumerate(pieces):
        best = -1e-6 - 0.7 * unit(seed, f"logprob{at}", key) ** 4
        others = [
            {"token": f"alt{rank}", "logprob": round(best - 1.0 - rank, 6), "bytes": list(b"alt%d" % rank)}
            for rank in range(1, top)
        ]
        entry = {"token": piece, "logprob": round(best, 6), "bytes": list(piece.encode())}
        content.append({**entry, "top_logprobs": [entry, *others] if top else []})
    return {"content": content, "refusal": None}


def error(status: int, code: str | None, message: str, *, azure: bool, kind: str, param: str | None = None) -> bytes:
    """An error body: OpenAI's {message, type, param, code}, or Azure's {code, message}."""
    if azure:
        return orjson.dumps({"error": {"code": code or str(status), "message": message}})
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def invalid(code: str | None, message: str, param: str | None, *, azure: bool) -> bytes:
    """A 400 that the request itself earned."""
    return error(400, code, message, azure=azure, kind="invalid_request_error", param=param)


def no_model(*, azure: bool) -> bytes:
    """A 404: the model or deployment is unknown."""
    code = "DeploymentNotFound" if azure else "model_not_found"
    message = "The deployment does not exist." if azure else "The model does not exist."
    return error(404, code, message, azure=azure, kind="invalid_request_error", param="model")


def unsupported(parameter: str, *, azure: bool) -> bytes:
    """A 400: the model or server does not take this request parameter."""
    message = f"Unsupported parameter: '{parameter}' is not supported with this model."
    return invalid("unsupported_parameter", message, parameter, azure=azure)


def rate_refusal(by: str, wait_s: float, hint: bool, *, azure: bool) -> bytes:
    """A 429; `hint`: the message says when to try again, as OpenAI's does."""
    again = f" Please try again in {duration(wait_s)}." if hint else ""
    code = "429" if azure else "rate_limit_exceeded"
    return error(429, code, f"Rate limit reached for {by}.{again}", azure=azure, kind=by)


def content_filter() -> bytes:
    """Azure's refusal of a prompt by its content filter, which carries its own fields."""
    calm = {"filtered": False, "severity": "safe"}
    results = {"hate": calm, "self_harm": calm, "sexual": calm, "violence": {"filtered": True, "severity": "high"}}
    return orjson.dumps(
        {
            "error": {
                "message": "The prompt was stopped by the content management policy.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": results},
            }
        }
    )


def context_length(limit: int, tokens: int, *, azure: bool) -> bytes:
    """A prompt that the model's context cannot hold."""
    message = f"This model's maximum context length is {limit} tokens, but the messages hold {tokens} tokens."
    return invalid("context_length_exceeded", message, "messages", azure=azure)


def unprocessable() -> bytes:
    """A 422 in the shape of FastAPI servers such as vLLM."""
    return orjson.dumps({"detail": [{"type": "value_error", "loc": ["body", "messages"], "msg": "Value error"}]})


def embeddings(texts: Sequence[str], model: str, dimensions: int, as_base64: bool, tokens: int) -> bytes:
    """Unit vectors that are a hash of each text, float32, as lists or base64."""
    import numpy as np

    data = []
    for at, text in enumerate(texts):
        seed = math.floor(unit(0, "embedding", text.encode("utf-8", "surrogatepass")) * 2**48)
        vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
        vector /= np.linalg.norm(vector)
        value: Any = b64encode(vector.tobytes()).decode() if as_base64 else vector
        data.append({"object": "embedding", "index": at, "embedding": value})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": model, "usage": usage}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def models(names: Sequence[str]) -> bytes:
    """The list of models."""
    data = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "loopback"} for name in names]
    return orjson.dumps({"object": "list", "data": data})
