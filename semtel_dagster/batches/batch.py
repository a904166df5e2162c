"""A batch as we know it: the value that is kept on disk beside the journal.

Belongs here: fields and what follows from them. Keeping it belongs in `store`, moving it on in `tending`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["written", "uploaded", "created", "ended"]

MARK = " (batch)"
WAITING = "waiting"
WAITING_REASON = "waiting for batch"


class Batch(BaseModel):
    """A batch of one classifier's conversations at one endpoint.

    Its name is made here before anything is sent, and travels in the file's name and in the provider's metadata: after
    a crash the provider is asked for that name, so nothing is uploaded, created or paid for twice.

    Attributes:
        name: Ours.
        classifier: The classifier that asks.
        fingerprint: Its prompt's.
        endpoint: The endpoint's name in the settings.
        model: The model under whose name answers are recorded.
        week: The Monday of the partition that submitted it.
        requests: Conversations in it.
        tokens: Prompt tokens by our count: what the provider enqueues.
        size: Bytes of the file.
        made_at: When it was written; times are seconds since 1970.
        status: written (on our disk), uploaded, created (the provider works on it), ended.
        remote_status: What the provider last said.
        tried_at: When the provider was last asked for something new; unset: not since the last step was done.
        not_before: When creating it may be tried again after a refusal.
        refusals: How often the enqueued tokens left no room.
        input_file: The provider's file.
        batch_id: The provider's batch.
        created_at: When the provider had it.
        ended_at: When its results were collected, or it was given up.
        ending: How: completed, expired, cancelled, failed (in the provider's words); rejected (it would not have it),
            refused (too large for the quota), crowded (others fill the quota), overdue, lost (before it was sent).
        answered: Conversations that it answered, content filters included.
        released: Conversations that it left unanswered.
        input_tokens: As the provider counted.
        cached_tokens: Of these, from a cache.
        output_tokens: As the provider counted.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    classifier: str
    fingerprint: str
    endpoint: str
    model: str
    week: str
    requests: int
    tokens: int
    size: int
    made_at: float
    status: Status = "written"
    remote_status: str = ""
    tried_at: float | None = None
    not_before: float = 0.0
    refusals: int = 0
    input_file: str | None = None
    batch_id: str | None = None
    created_at: float | None = None
    ended_at: float | None = None
    ending: str | None = None
    answered: int = 0
    released: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    @property
    def is_open(self) -> bool:
        """Whether its conversations wait for it."""
        return self.status != "ended"

    @property
    def label(self) -> str:
        """The name of this attempt in the provider's metadata: after a refusal a new batch must not be the old one."""
        return f"{self.name}.{self.refusals}"

    @property
    def counts_as_a_try(self) -> bool:
        """Whether its conversations need not wait for another batch; smaller files may follow a refused one."""
        return self.status == "ended" and self.ending not in {"refused", "lost"}


def endpoint_in_tables(endpoint: str) -> str:
    """How an endpoint is named in `responses` where it answered in a batch."""
    return endpoint + MARK
