"""What is wrong with an endpoint, told before a run: for `semtel check`.

Belongs here: one small call per endpoint, and how grave what it found is. The words for a fault belong in `explaining`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

import msgspec

from semtel_dagster.classifiers import Classifier, CompiledPrompt, Label, PromptMessage, Task
from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.caller import HttpCaller, address_of, transport_of
from semtel_dagster.requests.capabilities import Capabilities
from semtel_dagster.requests.explaining import TIMEOUT_S, explain
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.reply import UNREADABLE
from semtel_dagster.settings import EndpointSettings

MOST_CALLS = 4


@dataclass(frozen=True)
class Finding:
    """Something that was found out about an endpoint.

    Attributes:
        level: "ok", "note" (works, with less), or "error" (a run would fail).
        text: What, with the mend.
    """

    level: Literal["ok", "note", "error"]
    text: str


def check_endpoint(endpoint: EndpointSettings, plan: RequestPlan) -> list[Finding]:
    """Asks an endpoint one tiny question: is it there, does it take the key, the model, a schema?

    What it lacks is remembered, so a run does not stumble over it.
    """
    if endpoint.kind == "embedded":
        return [_check_embedded(endpoint, plan)]
    try:
        return asyncio.run(_check(endpoint, plan))
    except SettingsError as error:
        return [Finding("error", str(error))]


def _check_embedded(endpoint: EndpointSettings, plan: RequestPlan) -> Finding:
    if plan.local_model is None:
        return Finding("error", f"{endpoint.name}: no embedded model is installed; name an endpoint with base_url")
    return Finding("ok", f"{endpoint.name}: answers in this process, no key and no server needed")


async def _check(endpoint: EndpointSettings, plan: RequestPlan) -> list[Finding]:
    capabilities = Capabilities(plan.journal, f"{endpoint.base_url} {endpoint.model}")
    caller = HttpCaller(endpoint, _probe_prompt(), capabilities, 1)
    try:
        outcome = await caller.call("hello", TIMEOUT_S)
        for _ in range(MOST_CALLS):
            if outcome.kind is not Kind.UNSUPPORTED:
                break
            outcome = await caller.call("hello", TIMEOUT_S)
    finally:
        await caller.close()
    findings = [Finding("note", _lacking(endpoint, name)) for name in sorted(capabilities.lacking)]
    known = await _known_models(endpoint) if outcome.code == "not_found" else []
    return [_verdict(endpoint, outcome, known), *findings]


async def _known_models(endpoint: EndpointSettings) -> list[str]:
    address = address_of(endpoint)
    if address.models_url is None:
        return []
    transport = transport_of(endpoint, 1)
    try:
        reply = await transport.get(address.models_url, TIMEOUT_S)
        listed = msgspec.json.decode(reply.body, type=dict[str, object]).get("data")
        return sorted(str(one["id"]) for one in listed if "id" in one)[:8] if isinstance(listed, list) else []
    except (ConnectionError, *UNREADABLE):
        return []
    finally:
        await transport.close()


def _verdict(endpoint: EndpointSettings, outcome: Outcome, known: list[str]) -> Finding:
    name, address = endpoint.name, endpoint.base_url
    if outcome.kind is Kind.ANSWERED or outcome.code in {"empty_answer", "content_filter", "model_refusal"}:
        return Finding("ok", f"{name}: {endpoint.model} answers at {address}")
    if outcome.kind is Kind.REFUSED:
        return Finding("note", f"{name}: {endpoint.model} at {address} is there but at its limit ({outcome.reason})")
    return Finding("error", f"{name}: {explain(endpoint, outcome, known)}")


def _lacking(endpoint: EndpointSettings, parameter: str) -> str:
    what = {
        "json_schema": "takes no JSON schema, so answers are asked for as plain JSON and cleaned more often",
        "response_format": "takes no response_format, so the answer's form is asked for in words only",
        "max_tokens": "wants max_completion_tokens in place of max_tokens, and gets it",
    }
    return f"{endpoint.name}: {endpoint.model} " + what.get(parameter, f"does not take {parameter}; it is left out")


def _probe_prompt() -> CompiledPrompt:
    labels = (Label(name="yes", definition="it is"), Label(name="no", definition="it is not"))
    task = Task(name="greeting", question="Is it a greeting?", labels=labels)
    return CompiledPrompt(
        classifier=Classifier(name="check", description="", tasks=(task,)),
        messages=(
            PromptMessage("system", 'Is the message a greeting? Answer as JSON: {"greeting": "yes"} or "no".'),
            PromptMessage("user", "", ""),
        ),
        response_schema={
            "type": "object",
            "properties": {"greeting": {"type": "string", "enum": ["yes", "no"]}},
            "required": ["greeting"],
            "additionalProperties": False,
        },
        options={"temperature": 0, "max_tokens": 16},
        fingerprint="0" * 16,
        static_tokens=30,
    )
