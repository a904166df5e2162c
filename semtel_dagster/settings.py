"""One settings model: `semtel.yaml` under environment variables over it.

Every field has a default and an override, e.g. `SEMTEL_ENGINE=spark` or `SEMTEL_SAMPLE__RATE=0.1`. Unknown
fields and bad values are errors that name the field, the value and the mend. Keys never stand here: only the
names of the environment variables that hold them.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from semtel_dagster.errors import SettingsError
from semtel_dagster.reducers import BatchSettings, CascadeSettings, CompressSettings, PackSettings

SETTINGS_VARIABLE = "SEMTEL_SETTINGS"
DEFAULT_FILE = "semtel.yaml"
MOST_COMBINED = 8
MONDAY_MORNING = "0 6 * * 1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(_Section):
    """Where conversations come from, and how their columns are named."""

    path: str = "conversations/*.parquet"
    format: Literal["semtel", "wildchat", "lmsys", "sharegpt", "openai-export"] = "semtel"
    columns: dict[str, str] = Field(default_factory=dict, description="own names -> contract names")
    max_message_bytes: int = Field(4_000_000, ge=1_000, description="a longer message is quarantined")


class Stratum(_Section):
    """A part of the population with its own rate or target count.

    Conversations whose `column` has one of `values` belong to it; the first stratum that fits wins, and
    what fits none is the stratum "rest" under the general rate.
    """

    name: str
    column: str = "language"
    values: tuple[str, ...]
    rate: float | None = Field(None, gt=0, le=1)
    per_week: int | None = Field(None, ge=1)


class SampleSettings(_Section):
    """How many conversations of a week are labelled."""

    rate: float = Field(1.0, gt=0, le=1)
    per_week: int | None = Field(None, ge=1)
    strata: tuple[Stratum, ...] = ()
    max_per_user: int | None = Field(None, ge=1)
    seed: int = 0


class TruncateSettings(_Section):
    """How a transcript is cut to its token budget."""

    max_tokens: int = Field(2000, ge=16)
    strategy: Literal["head", "tail", "head_tail", "last_turns"] = "head_tail"
    last_turns: int = Field(6, ge=1)
    max_message_tokens: int | None = Field(None, ge=8)


class DedupeSettings(_Section):
    """How near two conversations must be to share one answer."""

    threshold: float = Field(0.95, gt=0, le=1)
    embedding: str = Field("embedded", description="embedded | an endpoint's name | none (exact duplicates only)")
    earlier_weeks: int = Field(0, ge=0, description="weeks before, whose representatives also stand for new texts")


class AggregateSettings(_Section):
    """Disclosure control and segments of the weekly shares."""

    min_conversations: int = Field(15, ge=1)
    min_users: int = Field(5, ge=1)
    segments: tuple[str, ...] = Field((), description="columns to break shares down by: language, stratum")
    confidence: float = Field(0.95, gt=0.5, lt=1)


class Price(_Section):
    """USD per million tokens."""

    input: float = Field(0.0, ge=0)
    cached_input: float | None = Field(None, ge=0)
    output: float = Field(0.0, ge=0)


class EndpointSettings(_Section):
    """A model behind an address (or in this process)."""

    name: str
    kind: Literal["openai", "azure", "embedded"] = "openai"
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_version: str | None = Field(None, description="azure: set for deployment paths, unset for the v1 path")
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    max_in_flight: int | None = Field(None, ge=1)
    http2: bool = Field(False, description="over TLS: a connection per hundred calls; losing one fails all of them")
    price: Price = Price()

    @model_validator(mode="after")
    def _address_is_known(self) -> EndpointSettings:
        if self.kind != "embedded" and not self.base_url:
            raise ValueError(f"endpoint {self.name!r} of kind {self.kind!r} needs base_url")
        if self.kind != "embedded" and not self.model:
            raise ValueError(f"endpoint {self.name!r} of kind {self.kind!r} needs model")
        return self

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, given: str | None) -> str | None:
        parts = urlsplit(given or "http://unset")
        if parts.username or parts.password:
            raise PydanticCustomError("login", "a login does not belong in the address; name the key in api_key_env")
        if parts.scheme not in {"http", "https"} or not parts.hostname or " " in str(given):
            raise ValueError("an address starts with http:// or https:// and a host, e.g. http://localhost:8000/v1")
        if parts.query:
            raise ValueError("leave out what follows the question mark; azure's version goes into api_version")
        return given


def _repair_of(value: object) -> object:
    """The words for yes and no stand for asking again and for nothing."""
    yes_or_no = {"true": "ask", "1": "ask", "yes": "ask", "on": "ask", "false": "none", "0": "none", "no": "none"}
    return yes_or_no.get(str(value).casefold(), value)


class RequestSettings(_Section):
    """How the request engine behaves on every endpoint."""

    timeout_s: float = Field(60.0, gt=0)
    flush_s: float = Field(1.0, gt=0)
    max_in_flight: int | None = Field(None, ge=1)
    max_attempts: int = Field(6, ge=1, description="tries of one conversation; refusals by rate do not count")
    repair: Annotated[Literal["ask", "nearest", "none"], BeforeValidator(_repair_of)] = Field(
        "none", description="an answer without a label: ask again once, take the nearest definition's, or leave it"
    )


class ReportSettings(_Section):
    """What the weekly report shows."""

    title: str = "Semantic telemetry"
    weeks: int = Field(12, ge=1, description="weeks of history in the trend charts")
    webhook_env: str | None = Field(None, description="variable with the address that weekly summaries are posted to")


class BackfillSettings(_Section):
    """The standing budget of the sensor `catch_up`, which is stopped by default."""

    max_cost_per_week: float | None = Field(None, ge=0, description="USD a calendar week; unset: no cap by cost")
    max_calls_per_week: int | None = Field(None, ge=0, description="calls a calendar week; unset: no cap by calls")
    max_retries: int = Field(2, ge=0, description="tries of a failed partition beyond the first")


def _monday(day: dt.date) -> dt.date:
    if day.weekday() != 0:
        monday = day - dt.timedelta(days=day.weekday())
        raise ValueError(f"{day} is a {day:%A}; weekly partitions start on a Monday, e.g. {monday}")
    return day


def _as_groups(value: Any) -> Any:
    """A flat list of classifiers is one group."""
    flat = isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value)
    return [value] if flat else value


class Settings(BaseSettings):
    """Everything a user can set (design section 14)."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="SEMTEL_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    storage: str = Field("./semtel-data", description="a path, or an object store's URL (see object_store)")
    object_store: str | None = Field(
        None, description="URL to which tables and reports are published; a URL as storage sets it"
    )
    engine: Literal["polars", "spark"] = "polars"
    first_week: Annotated[dt.date, AfterValidator(_monday)] = dt.date(2026, 9, 21)
    cadence: str = Field(MONDAY_MORNING, description="when the sensor weekly_cadence makes the ended week: cron, UTC")
    source: SourceSettings = SourceSettings()
    prompts: str | None = Field(None, description="folder of Prompty files; unset: the shipped ones")
    classifiers: tuple[str, ...] = Field((), description="unset: every file in prompts")
    sample: SampleSettings = SampleSettings()
    truncate: TruncateSettings = TruncateSettings()
    dedupe: DedupeSettings = DedupeSettings()
    aggregate: AggregateSettings = AggregateSettings()
    endpoints: tuple[EndpointSettings, ...] = ()
    requests: RequestSettings = RequestSettings()
    report: ReportSettings = ReportSettings()
    backfill: BackfillSettings = BackfillSettings()
    combine: Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_as_groups)] = Field(
        (), description="classifiers that one call answers together: a list, or a list of lists"
    )
    pack: PackSettings = PackSettings()
    batch: BatchSettings = BatchSettings()
    cascade: CascadeSettings = CascadeSettings()
    compress: CompressSettings = CompressSettings()
    spark: dict[str, Any] = Field(default_factory=dict, description="any spark.* setting, master and remote included")
    gold: str | None = Field(None, description="glob of golden label files (JSONL) that the report compares with")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        names = [endpoint.name for endpoint in self.endpoints]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"endpoint names must differ; given twice: {', '.join(repeated)}")
        unknown = sorted(set(self.batch.endpoints) - {each.name for each in self.endpoints if each.kind != "embedded"})
        if unknown:
            raise ValueError(f"batch.endpoints names {unknown[0]!r}, which is no endpoint of kind openai or azure")
        if self.batch.enabled and self.endpoints and all(each.kind == "embedded" for each in self.endpoints):
            raise ValueError("batch.enabled needs an endpoint of kind openai or azure; the embedded model has none")
        embedding = self.dedupe.embedding
        if embedding not in {"embedded", "none", *names}:
            raise ValueError(f"dedupe.embedding is {embedding!r}; it must be embedded, none or an endpoint's name")
        return self

    @model_validator(mode="after")
    def _groups_are_apart(self) -> Settings:
        members = [name for group in self.combine for name in group]
        repeated = sorted({name for name in members if members.count(name) > 1})
        if repeated:
            raise ValueError(f"combine names {', '.join(repeated)} twice; a classifier can be in one group")
        for group in self.combine:
            if not 2 <= len(group) <= MOST_COMBINED:
                raise ValueError(f"combine has a group of {len(group)}; a group has 2 to {MOST_COMBINED} classifiers")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, which wins over the file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    def api_key(self, endpoint: EndpointSettings) -> str | None:
        """The key from the variable that the endpoint names; never stored, logged or shown."""
        return os.environ.get(endpoint.api_key_env) if endpoint.api_key_env else None


def load_settings(file: str | Path | None = None, **overrides: Any) -> Settings:
    """Reads the settings file, then the environment, then `overrides`.

    Args:
        file: A YAML file; unset: the file that `SEMTEL_SETTINGS` names, or `semtel.yaml` in the working folder if
            it is there. Relative paths in the settings start from the file's folder.
        overrides: Values that win over everything, by field name.

    Raises:
        SettingsError: The file is missing or a value is wrong; the message names field, value and mend.
    """
    path = _find_file(file)

    class FromFile(Settings):
        model_config = SettingsConfigDict(yaml_file=path, yaml_file_encoding="utf-8", title="Settings")

    try:
        loaded = FromFile(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise SettingsError(f"{path} is not readable as YAML: {str(error).splitlines()[0]}") from None
    return _resolve_paths(loaded, path.parent if path else Path.cwd())


def _find_file(file: str | Path | None) -> Path | None:
    named = file or os.environ.get(SETTINGS_VARIABLE)
    path = Path(named or DEFAULT_FILE).expanduser().absolute()
    if path.is_file():
        return path
    if named:
        raise SettingsError(f"settings file {path} does not exist; give --settings or {SETTINGS_VARIABLE} another path")
    return None


def _explain(error: ValidationError, path: Path | None) -> str:
    """One line per wrong field: where, which value, what is expected."""
    lines = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"]) or "settings"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{field}: unknown field; check its spelling and nesting")
        else:
            secret = isinstance(fault["input"], dict) or fault["type"] == "login"
            value = "" if secret else f" (got {fault['input']!r})"
            lines.append(f"{field}: {fault['msg'].removeprefix('Value error, ')}{value}")
    return f"wrong settings in {path or 'the environment'}: " + "; ".join(lines)


def _resolve_paths(settings: Settings, folder: Path) -> Settings:
    def absolute(value: str) -> str:
        return value if "://" in value else os.path.normpath(folder / Path(value).expanduser())

    storage, object_store = settings.storage.removeprefix("file://"), settings.object_store
    if "://" in storage:
        storage, object_store = str(_working_folder(storage)), storage
    update: dict[str, Any] = {
        "storage": absolute(storage),
        "object_store": object_store,
        "source": settings.source.model_copy(update={"path": absolute(settings.source.path)}),
        "prompts": absolute(settings.prompts) if settings.prompts else None,
        "gold": absolute(settings.gold) if settings.gold else None,
    }
    return Settings.model_construct(**{**dict(settings), **update})


def _working_folder(url: str) -> Path:
    """Where work goes on for a storage in an object store: journals append, and files are renamed."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "semtel" / url.replace("://", "/").strip("/").replace("/", "_")
