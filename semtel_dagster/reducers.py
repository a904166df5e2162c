"""Settings of the cost reducers: each is off by default, and measured before it is trusted.

Belongs here: one frozen section per switch. What a switch does belongs in its own room.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ReducerSection(BaseModel):
    """A section of `semtel.yaml` about one way to spend fewer tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
