"""The data contracts: the Arrow schema of every table (design section 3).

Partition columns (`week`, `classifier`) come from the path and are not part of a schema. Strings are
`large_string`, as Polars writes them; no unsigned integers and no durations, which Spark would change.
"""

import pyarrow as pa

from semtel_dagster.reducers import BY_SENTENCE, LOSSLESS_RULES

# Patterns of the column `truncation`.
WAS_CUT = "(?:message|head|tail|last_turns)$"
WAS_COMPRESSED = "|".join((*LOSSLESS_RULES, *BY_SENTENCE))
TIMESTAMP = pa.timestamp("us", tz="UTC")
MESSAGES = pa.large_list(pa.struct([("role", pa.large_string()), ("content", pa.large_string())]))

CONVERSATIONS = pa.schema(
    [
        pa.field("conversation_id", pa.large_string(), nullable=False),
        ("user_id", pa.large_string()),
        pa.field("started_at", TIMESTAMP, nullable=False),
        ("language", pa.large_string()),
        ("messages", MESSAGES),
        ("extra", pa.large_string()),  # the source's own columns, as one JSON object
    ]
)

REJECTED_CONVERSATIONS = pa.schema(
    [
        ("source", pa.large_string()),  # file name, without its folder
        ("position", pa.int64()),  # line or row number in the file, from 1
        ("conversation_id", pa.large_string()),
        ("reason", pa.large_string()),  # one of sources.rules.REASONS
        ("detail", pa.large_string()),  # which field, which type; never conversation text
        ("undated", pa.bool_()),  # no usable time: shown in every week, since it belongs to none
    ]
)

SAMPLED_CONVERSATIONS = pa.schema(
    [
        *CONVERSATIONS,
        ("stratum", pa.large_string()),
        ("inclusion_probability", pa.float64()),
        ("sampling_weight", pa.float64()),
    ]
)

TRUNCATED_CONVERSATIONS = pa.schema(
    [
        ("conversation_id", pa.large_string()),
        ("user_id", pa.large_string()),
        ("started_at", TIMESTAMP),
        ("language", pa.large_string()),
        ("stratum", pa.large_string()),
        ("sampling_weight", pa.float64()),
        ("n_turns", pa.int32()),
        ("text", pa.large_string()),  # the quoted transcript (semtel_dagster.transcript)
        ("n_tokens", pa.int32()),
        ("n_tokens_before", pa.int32()),
        ("truncation", pa.large_string()),  # "none", or what shortened it: "code+head_tail" (stages.truncate)
        ("content_hash", pa.large_string()),  # 32 hex digits of blake2b over text
    ]
)


def conversation_embeddings(dimensions: int) -> pa.Schema:
    """The schema of `conversation_embeddings` for a model with so many dimensions."""
    return pa.schema(
        [
            ("content_hash", pa.large_string()),
            ("embedding", pa.list_(pa.float32(), dimensions)),
            ("model", pa.large_string()),
        ]
    )


DISTINCT_CONVERSATIONS = pa.schema(
    [
        ("content_hash", pa.large_string()),
        ("conversation_id", pa.large_string()),  # the representative
        ("text", pa.large_string()),
        ("n_tokens", pa.int32()),
        ("group_size", pa.int64()),
        ("group_weight", pa.float64()),  # sum of the members' sampling weights
    ]
)

DUPLICATE_GROUPS = pa.schema(
    [
        ("conversation_id", pa.large_string()),
        ("representative_id", pa.large_string()),
        ("content_hash", pa.large_string()),  # the representative's
        ("similarity", pa.float64()),  # cosine to the representative; 1.0 for itself and exact duplicates
        ("kind", pa.large_string()),  # representative | exact | near
        ("user_id", pa.large_string()),
        ("language", pa.large_string()),
        ("stratum", pa.large_string()),
        ("sampling_weight", pa.float64()),
    ]
)

RESPONSES = pa.schema(
    [
        ("content_hash", pa.large_string()),
        ("prompt_fingerprint", pa.large_string()),
        ("model", pa.large_string()),
        ("endpoint", pa.large_string()),
        ("raw_text", pa.large_string()),
        ("finish_reason", pa.large_string()),
        ("logprobs", pa.large_string()),  # the provider's JSON, if any
        ("input_tokens", pa.int32()),
        ("cached_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
        ("latency_s", pa.float64()),
        ("attempts", pa.int32()),  # calls sent for this row, refusals included
        ("refusals", pa.int32()),  # of these, refused by rate
        ("from_journal", pa.bool_()),  # paid for in an earlier run: no call now
        ("status", pa.large_string()),  # answered | failed | waiting (for a batch)
        (
            "error",
            pa.large_string(),
        ),  # reason of a failure, or "repaired: " and what was wrong at first; no text of the row
    ]
)

LABELS = pa.schema(
    [
        ("conversation_id", pa.large_string()),
        ("user_id", pa.large_string()),
        ("language", pa.large_string()),
        ("stratum", pa.large_string()),
        ("content_hash", pa.large_string()),
        ("task", pa.large_string()),
        ("label", pa.large_string()),  # null when invalid or unanswered
        ("score", pa.float64()),
        ("label_status", pa.large_string()),  # exact | cleaned | matched | repaired | predicted | invalid | unanswered
        ("reason", pa.large_string()),  # why it is invalid or unanswered
        ("confidence", pa.float64()),
        ("weight", pa.float64()),
        ("prompt_fingerprint", pa.large_string()),
        ("parser_fingerprint", pa.large_string()),
        ("model", pa.large_string()),
    ]
)

LABEL_SHARES = pa.schema(
    [
        ("task", pa.large_string()),
        ("label", pa.large_string()),  # a label, "(invalid)", "(unanswered)" or "(suppressed)"
        ("segment", pa.large_string()),  # "all", or "language=de"
        ("n", pa.int64()),  # conversations in the cell
        ("n_users", pa.int64()),
        ("effective_n", pa.float64()),
        ("share", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("mean_score", pa.float64()),
        ("method", pa.large_string()),
        ("suppressed", pa.bool_()),
    ]
)
