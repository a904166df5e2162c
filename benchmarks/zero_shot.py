"""How often the embedded model agrees with people: CLINC150, HWU64, AB-ReDial satisfaction, and the demo gold.

    python benchmarks/zero_shot.py

The first three need shared/data beside the checkout. Writes benchmarks/results/zero_shot.md. How to read it: the label
definitions of CLINC150 and HWU64 are ours, written knowing their intents, which flatters the model. The demo gold was
looked at while the model was made (which text is read for a subject, the evidence for level and acts, the lexicon), so
its figures are those of a development set and not of unseen data. AB-ReDial played no part.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from scipy.stats import spearmanr

from semtel_dagster.classifiers import Classifier, CompiledPrompt, Label, Task
from semtel_dagster.embedding import zero_shot
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.transcript import Turn, render

CHECKOUT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SAMPLE = 4000
READING = (
    "The demo gold was looked at while the model was made: its rows are a development set. The definitions of CLINC150 "
    "and HWU64 are ours, written knowing their intents. AB-ReDial played no part."
)

CLINC = {
    "auto_and_commute": "cars and commuting: traffic, directions, gas, tires, maintenance of a car, fuel",
    "banking": "bank accounts: balance, transfers, transactions, bills, routing numbers, checks, blocked account",
    "credit_cards": "credit cards: card limit, score, annual fee, rewards, lost or damaged card, international fees",
    "home": "home and household: smart home, lights, shopping list, to-do list, calendar, reminders, playing music",
    "kitchen_and_dining": "cooking and restaurants: recipes, ingredients, meals, calories, reservations and reviews",
    "meta": "control of the assistant: change name, language, volume, accent, repeat, cancel, yes, no, maybe",
    "small_talk": "small talk: greetings, thanks, jokes, who made you, how old are you, hobbies, fun fact",
    "travel": "travel: flights, hotels, booking, passports, vaccines, visas, luggage, exchange rates, travel alerts",
    "utility": "utilities: weather, time, date, alarm, timer, calculator, spelling, definition, phone calls, coin flip",
    "work": "work and employment: meetings, payday, salary, taxes, vacation days, insurance, direct deposit, 401k",
}
HWU = {
    "alarm": "setting, removing and asking about alarms",
    "audio": "volume of the sound: louder, quieter, mute",
    "calendar": "calendar events, reminders, appointments and meetings",
    "cooking": "cooking and recipes, how to cook food",
    "datetime": "the time and date, time zones",
    "email": "reading, sending and asking about email and contacts",
    "general": "general chat, commands and feedback: jokes, repeat, explain, praise, confirm, do not care",
    "iot": "smart home devices: lights, coffee machine, vacuum cleaner, plugs",
    "lists": "lists: create, add and remove items of a to-do or shopping list",
    "music": "music preferences and settings: what song is this, likes",
    "news": "news and current events, headlines",
    "play": "playing music, radio, podcasts, audiobooks and games",
    "qa": "questions of fact: definitions, stock prices, currency, maths, people and places",
    "recommendation": "recommendations of events, restaurants, movies and places nearby",
    "social": "social media: post and read tweets and facebook statuses",
    "takeaway": "ordering takeaway food and delivery",
    "transport": "transport: traffic, taxi, train tickets, directions",
    "weather": "weather: temperature, rain, forecast",
}

Row = dict[str, Any]


def lines(path: Path) -> list[Row]:
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    return [json.loads(line) for line in data.split(b"\n") if line]


def shared(relative: str) -> list[Row]:
    candidates = [folder / "shared" / "data" / relative for folder in CHECKOUT.parents]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    return lines(path) if path else []


def sampled(rows: list[Row]) -> list[Row]:
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[position] for position in order[:SAMPLE]]


def transcript(messages: list[Row]) -> str:
    return render([Turn(message["role"], message["content"]) for message in messages])


def prompt(name: str, definitions: dict[str, str]) -> CompiledPrompt:
    labels = tuple(Label(name=key.replace("_", " "), definition=text) for key, text in definitions.items())
    task = Task(name=name, question="What is it about?", labels=labels)
    schema = {"properties": {name: {}}}
    return CompiledPrompt(Classifier(name=name, description="", tasks=(task,)), (), schema, {}, "0" * 16, 0)


def agreement(said: list[str], gold: list[str], order: list[str], ordinal: bool) -> Row:
    hits = np.array([a == b for a, b in zip(said, gold, strict=True)])
    counts_said, counts_gold = Counter(said), Counter(gold)
    f1 = [
        2 * sum(a == b == label for a, b in zip(said, gold, strict=True)) / (counts_said[label] + counts_gold[label])
        for label in order
        if counts_said[label] + counts_gold[label]
    ]
    return {
        "n": len(gold),
        "accuracy": f"{hits.mean():.3f}",
        "majority": f"{max(counts_gold.values()) / len(gold):.3f}",
        "macro F1": f"{np.mean(f1):.3f}",
        "kappa": f"{kappa([order.index(a) for a in said], [order.index(b) for b in gold], len(order), ordinal):.3f}",
    }


def kappa(said: list[int], gold: list[int], labels: int, quadratic: bool) -> float:
    observed = np.zeros((labels, labels))
    np.add.at(observed, (gold, said), 1)
    distance = np.abs(np.subtract.outer(np.arange(labels), np.arange(labels)))
    weights = distance**2 if quadratic else (distance > 0)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    return 1 - float((weights * observed).sum() / (weights * expected).sum())


def requests(
    model: zero_shot.ZeroShotModel, name: str, rows: list[Row], field: str, definitions: dict[str, str]
) -> Row:
    compiled = prompt(field, definitions)
    start = time.perf_counter()
    answers = model.answer(compiled, [transcript([{"role": "user", "content": row["text"]}]) for row in rows])
    rate = len(rows) / (time.perf_counter() - start)
    order = [label.name for label in compiled.classifier.tasks[0].labels]
    gold = [row[field].replace("_", " ") for row in rows]
    return (
        {"data": name, "task": field}
        | agreement([json.loads(a)[field] for a in answers], gold, order, False)
        | {"texts/s": round(rate)}
    )


def demo(model: zero_shot.ZeroShotModel) -> list[Row]:
    conversations = [row for path in sorted(CHECKOUT.glob("evals/demo/conversations/*.jsonl")) for row in lines(path)]
    gold: dict[str, dict[str, str]] = defaultdict(dict)
    for path in CHECKOUT.glob("evals/demo/gold/*.jsonl"):
        for row in lines(path):
            gold[row["task"]][row["conversation_id"]] = row["label"]
    texts = [transcript(row["messages"]) for row in conversations]
    rows = []
    for compiled in load_classifiers().values():
        start = time.perf_counter()
        answers = [json.loads(answer) for answer in model.answer(compiled, texts)]
        rate = len(texts) / (time.perf_counter() - start)
        for task in compiled.classifier.tasks:
            for part, chosen in (("all", {"en", "*"}), ("English", {"en"}), ("other", {"*"})):
                kept = [
                    (answer[task.name], gold[task.name][row["conversation_id"]])
                    for row, answer in zip(conversations, answers, strict=True)
                    if ("en" if row["language"] == "en" else "*") in chosen
                ]
                order = [label.name for label in task.labels]
                said, truth = [a for a, _ in kept], [b for _, b in kept]
                rows.append({"data": f"demo, {part}", "task": task.name} | agreement(said, truth, order, task.ordinal))
                rows[-1]["texts/s"] = round(rate)
    return rows


def redial(model: zero_shot.ZeroShotModel) -> str:
    """Scores of dialogues against the mean of the annotators' ratings."""
    ratings, messages = defaultdict(list), {}
    for row in shared("ab_redial/dialogues.jsonl.zst"):
        key = transcript(row["messages"])
        ratings[key].append(float(row["labels"]["dialogue-overall"]))
        messages[key] = row["messages"]
    if not messages:
        return ""
    answers = model.answer(
        load_classifiers(names=["satisfaction"])["satisfaction"], [transcript(m) for m in messages.values()]
    )
    scores = [json.loads(answer)["satisfaction_score"] for answer in answers]
    rho = spearmanr(scores, [np.nanmean(ratings[key]) for key in messages]).statistic
    return f"AB-ReDial, {len(scores)} dialogues: rank correlation of the score with the mean rating {rho:.3f}"


def main() -> None:
    model = zero_shot.load()
    clinc = sampled([row for row in shared("clinc150/clinc150.jsonl.zst") if row["domain"] != "oos"])
    hwu = sampled(shared("hwu64/hwu64.jsonl.zst"))
    rows = [requests(model, "CLINC150", clinc, "domain", CLINC)] if clinc else []
    rows += [requests(model, "HWU64", hwu, "scenario", HWU)] if hwu else []
    rows += demo(model)
    table = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0]), *(" | ".join(map(str, r.values())) for r in rows)]
    text = "\n".join(f"| {line} |" for line in table) + f"\n\n{redial(model)}\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    title = f"# The embedded model against human labels\n\n`python benchmarks/zero_shot.py` ({model.name})"
    written = f"{title}\n\n{READING}\n\n{text}"
    (RESULTS / "zero_shot.md").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
