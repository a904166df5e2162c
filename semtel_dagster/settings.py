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

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from semtel_dagster.errors import SettingsError
from semtel_dagster.reducers import BatchSettings, CascadeSettings, CompressSettings, PackSettings
from semtel_dagster.sections import (
    AggregateSettings,
    BackfillSettings,
    DedupeSettings,
    EndpointSettings,
    Price,
    ReportSettings,
    RequestSettings,
    SampleSettings,
    SourceSettings,
    Stratum,
    TruncateSettings,
)

__all__ = [
    "DEFAULT_FILE",
    "DEFAULT_KEY_VARIABLE",
    "MONDAY_MORNING",
    "MOST_COMBINED",
    "SETTINGS_VARIABLE",
    "AggregateSettings",
    "BackfillSettings",
    "DedupeSettings",
    "EndpointSettings",
    "Price",
    "ReportSettings",
    "RequestSettings",
    "SampleSettings",
    "Settings",
    "SourceSettings",
    "Stratum",
    "TruncateSettings",
    "load_settings",
]

SETTINGS_VARIABLE = "SEMTEL_SETTINGS"
DEFAULT_FILE = "semtel.yaml"
MOST_COMBINED = 8
MONDAY_MORNING = "0 6 * * 1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"


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
    if perplexity := settings.compress.perplexity:
        perplexity = perplexity.model_copy(update={"model": absolute(perplexity.model)})
        update["compress"] = settings.compress.model_copy(update={"perplexity": perplexity})
    return Settings.model_construct(**{**dict(settings), **update})


def _working_folder(url: str) -> Path:
    """Where work goes on for a storage in an object store: journals append, and files are renamed."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "semtel" / url.replace("://", "/").strip("/").replace("/", "_")
