"""Settings of the cost reducers: each is off by default, and measured before it is trusted.

Belongs here: one frozen section per switch. What a switch does belongs in its own room.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LosslessRule: TypeAlias = Literal["boilerplate", "repeats", "code", "logs", "blobs", "white_space"]
LOSSLESS_RULES: tuple[LosslessRule, ...] = get_args(LosslessRule)
Grade: TypeAlias = bool | Literal["again"]
BY_SENTENCE = ("sentences", "perplexity")  # in the column `truncation`, beside the rules


class ReducerSection(BaseModel):
    """A section of `semtel.yaml` about one way to spend fewer tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PackSettings(ReducerSection):
    """Several conversations in one prompt (`packing`).

    With `conversations: auto` the size is learned: a sample is asked singly and in packs of growing size, and the
    largest size is taken at which the lower confidence bound of the agreement with the single answers reaches
    `agreement`. A share of the packed conversations goes on being asked singly, so that the bound is seen each week.
    """

    conversations: int | Literal["auto"] = Field(1, description="conversations in a prompt; 1: off")
    max_tokens: int = Field(24_000, ge=256, description="tokens of conversations in a prompt, at most")
    context: int = Field(128_000, ge=1_024, description="the model's context: prompt and answer must fit in it")
    seed: int = Field(0, description="of the order in a prompt and of the conversations' ids; may be a secret")
    grade: Grade = Field(
        False,
        description="a second call checks a prompt's answers, doubtful ones are asked singly; again: the same question "
        "in other company, where the answers differ singly",
    )
    agreement: float = Field(0.95, gt=0.5, lt=1, description="auto: the wanted agreement with single calls")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="auto: of the agreement's lower bound")
    apart: float = Field(
        0.05, ge=0, le=1, description="share of conversations, at most, kept out of others' packs for naming a label"
    )
    sample: int = Field(200, ge=20, description="auto: conversations that sizes are tried on, asked singly as well")
    random_share: float = Field(0.02, ge=0, le=1, description="auto: share of packed ones that is asked singly as well")
    largest: int = Field(32, ge=2, le=256, description="auto: the largest size that is tried")

    @field_validator("conversations")
    @classmethod
    def _is_a_size(cls, size: int | str) -> int | str:
        if isinstance(size, int) and not 1 <= size <= 256:
            raise ValueError("pack.conversations is a number from 1 to 256, or auto")
        return size

    @property
    def is_on(self) -> bool:
        """Whether prompts may hold more than one conversation."""
        return self.conversations != 1


class BatchSettings(ReducerSection):
    """What can wait goes to batch files, at half the price and within a day; the rest is asked at once.

    A sensor (`collect_batches`) or `semtel collect` brings the answers. Nothing is asked twice.
    """

    enabled: bool = False
    endpoints: tuple[str, ...] = Field((), description="names; unset: every endpoint of kind openai or azure")
    model: str | None = Field(None, description="azure: the batch deployment, where it is not the endpoint's model")
    share: float = Field(1.0, gt=0, le=1, description="of the conversations that lack an answer; the rest goes at once")
    min_requests: int = Field(100, ge=1, description="a week with fewer to ask is asked at once")
    max_requests: int = Field(50_000, ge=1, le=100_000, description="requests in a file")
    max_file_mb: float = Field(200.0, gt=0, description="a file's size, in millions of bytes")
    max_enqueued_tokens: int | None = Field(None, ge=1, description="an endpoint's, over open batches; unset: learned")
    tries: int = Field(1, ge=1, description="batches that a conversation may be in before it is asked at once")
    max_wait_hours: float = Field(26.0, gt=0, description="then a batch is cancelled; what it lacks is asked at once")
    poll_s: int = Field(60, ge=1, description="how often the sensor looks at open batches")
    price_factor: float = Field(0.5, gt=0, le=1, description="a batch's price, as a part of the endpoint's price")


class SentenceSettings(ReducerSection):
    """Sentences in the middle of long messages give way to dots, chosen by chance (`stages.compress_sentences`).

    Marks, the first sentence of every turn, and both ends of the first request and of the last turns always stay; a
    block of code stays or goes whole.
    """

    keep: float = Field(0.5, gt=0, lt=1, description="share of a conversation's tokens that stays")
    min_tokens: int = Field(200, ge=0, description="no conversation is shortened below so many tokens")
    last_turns: int = Field(2, ge=0, description="at the end, whose both ends stay, as those of the first request")
    end_tokens: int = Field(120, ge=0, description="tokens at each end of these turns that stay")


class PerplexitySettings(SentenceSettings):
    """As `sentences`, but those go that a language model could have guessed.

    The model is a GGUF file of one's own, computed in this process by llama.cpp (extra `compress`); it reads every
    token of what may fit the budget of `truncate`, which takes time.
    """

    model: str = Field(description="a GGUF file with a causal language model; a small one will do")
    context: int = Field(1024, ge=128, le=131_072, description="tokens that the model sees at once, at most")
    threads: int = Field(1, ge=1, description="more are faster on an idle machine, and cost more CPU on a busy one")

    @field_validator("model")
    @classmethod
    def _is_a_file(cls, model: str) -> str:
        if not model.strip() or "://" in model:
            raise ValueError("compress.perplexity.model is the path of a GGUF file on this machine")
        return model


class CompressSettings(ReducerSection):
    """What repeats or says nothing is shortened by rule before a transcript is cut (`stages.compress`).

    Rules: `boilerplate` (paragraphs that many conversations of the week open or close with), `repeats` (what an earlier
    turn has said), `code` (the middle of long code blocks), `logs` (the middle of log lines), `blobs` (long addresses,
    base64, hexadecimals), `white_space`. A mark says what stood there. `boilerplate` looks at the whole week: late
    conversations can change which texts it shortens, and those are asked again.
    """

    lossless: tuple[LosslessRule, ...] = Field((), description="rules by name; true: all of them")
    code_lines: int = Field(6, ge=1, description="code: lines kept at each end of a longer block")
    boilerplate_conversations: int = Field(20, ge=2, description="boilerplate: in so many conversations of the week")
    sentences: SentenceSettings | None = Field(None, description="after the rules, sentences chosen by chance go")
    perplexity: PerplexitySettings | None = Field(None, description="after the rules, sentences easily guessed go")

    @field_validator("lossless", mode="before")
    @classmethod
    def _all_or_none(cls, rules: Any) -> Any:
        if isinstance(rules, bool):
            return LOSSLESS_RULES if rules else ()
        return rules

    @field_validator("lossless")
    @classmethod
    def _in_order(cls, rules: tuple[LosslessRule, ...]) -> tuple[LosslessRule, ...]:
        return tuple(rule for rule in LOSSLESS_RULES if rule in rules)

    @model_validator(mode="after")
    def _one_by_sentence(self) -> CompressSettings:
        if self.sentences and self.perplexity:
            raise ValueError("set sentences or perplexity, not both: each shortens to its own keep")
        return self

    @property
    def is_on(self) -> bool:
        """Whether any text is shortened."""
        return bool(self.lossless or self.sentences or self.perplexity)


class CascadeSettings(ReducerSection):
    """A small model over stored embeddings answers where it agrees with its teacher; the rest is asked (`cascade`).

    With the probability `confidence`, the answers it gives agree with the teacher at a rate of `agreement` or more. A
    share of all conversations is asked anyway, so that it shows when this no longer holds.
    """

    classifiers: tuple[str, ...] = Field((), description="whose conversations it may answer; unset: off")
    agreement: float = Field(0.98, gt=0.5, lt=1, description="the wanted rate among the rows it answers")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="with which that rate is promised")
    random_share: float = Field(0.02, gt=0, le=1, description="of all conversations, asked whatever the student says")
    model: Literal["logistic", "mlp"] = "logistic"
    teacher: Literal["llm", "gold"] = Field("llm", description="whose labels it learns: the model's, or people's")
    by_label: bool = Field(False, description="promise the rate for each label it gives, not only for all together")
    held_out: float = Field(0.3, gt=0, lt=0.9, description="share of the labelled rows that the promise rests on")
    min_examples: int = Field(200, ge=20, description="fewer rows to learn from, or to hold out, train nothing")
    seed: int = 0
