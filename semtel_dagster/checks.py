"""Asset checks: rows add up from stage to stage, and tables keep their contracts.

Each says in words what is wrong and what to do. What a number means is in `summaries.py`.
"""

import dagster as dg
import narwhals as nw

from semtel_dagster.classifiers import Prompts
from semtel_dagster.engines.base import Frame, count_rows
from semtel_dagster.evaluation import gate
from semtel_dagster.partitions import Partitions, classifier_of
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings

GATE = "evaluation_lets_it_run"
MEND = "Materialize the partition again; if it stays, please report it with the figures above."


def build(partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All checks of the graph."""
    return [
        _sample_accounts(partitions),
        _groups_account(partitions),
        _labels_account(partitions),
        _shares_account(partitions),
        _quarantine(partitions),
        _evaluation_gate(partitions),
    ]


def _sample_accounts(partitions: Partitions) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="sampled_conversations",
        additional_ins={"conversations": dg.AssetIn("conversations")},
        partitions_def=partitions.weekly,
    )
    def sample_is_part_of_conversations(sampled_conversations: Frame, conversations: Frame) -> dg.AssetCheckResult:
        """Each sampled conversation is one of the week's, once, and its probability is in (0, 1]."""
        sampled, distinct = _counts(sampled_conversations, "conversation_id")
        known = count_rows(
            sampled_conversations.join(conversations.select("conversation_id"), on="conversation_id", how="semi")
        )
        probability = nw.col("inclusion_probability")
        wrong = count_rows(sampled_conversations.filter(~((probability > 0) & (probability <= 1))))
        return _verdict(
            sampled == distinct == known and wrong == 0,
            {
                "conversations": count_rows(conversations),
                "sampled": sampled,
                "distinct": distinct,
                "wrong_probability": wrong,
            },
        )

    return sample_is_part_of_conversations


def _groups_account(partitions: Partitions) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="duplicate_groups",
        additional_ins={name: dg.AssetIn(name) for name in ("sampled_conversations", "distinct_conversations")},
        partitions_def=partitions.weekly,
    )
    def groups_account_for_the_sample(
        duplicate_groups: Frame,
        sampled_conversations: Frame,
        distinct_conversations: Frame,
        settings: dg.ResourceParam[Settings],
    ) -> dg.AssetCheckResult:
        """Sampled = sum of group sizes; weights add up; nobody is farther than the threshold from who stands for it."""
        sampled = count_rows(sampled_conversations)
        members, distinct_members = _counts(duplicate_groups, "conversation_id")
        sizes = _total(distinct_conversations, "group_size")
        weight_gap = abs(
            _total(distinct_conversations, "group_weight") - _total(sampled_conversations, "sampling_weight")
        )
        too_far = count_rows(duplicate_groups.filter(nw.col("similarity") < settings.dedupe.threshold))
        return _verdict(
            sampled == members == distinct_members == sizes and weight_gap <= 1e-6 * max(1.0, sampled) and too_far == 0,
            {
                "sampled": sampled,
                "members": members,
                "sum_of_group_sizes": sizes,
                "weight_gap": weight_gap,
                "too_far": too_far,
            },
        )

    return groups_account_for_the_sample


def _labels_account(partitions: Partitions) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="labels",
        additional_ins={"duplicate_groups": dg.AssetIn("duplicate_groups")},
        partitions_def=partitions.grid,
        blocking=True,
    )
    def labels_account_for_the_sample(
        context: dg.AssetCheckExecutionContext,
        labels: Frame,
        duplicate_groups: Frame,
        prompts: dg.ResourceParam[Prompts],
    ) -> dg.AssetCheckResult:
        """Every sampled conversation has one row per task, and each label is one of the task's."""
        tasks = prompts[classifier_of(context.partition_key)].classifier.tasks
        sampled, rows = count_rows(duplicate_groups), count_rows(labels)
        alien = sum(
            count_rows(
                labels.filter(
                    nw.col("task") == task.name,
                    ~nw.col("label").is_null(),
                    ~nw.col("label").is_in([label.name for label in task.labels]),
                )
            )
            for task in tasks
        )
        return _verdict(
            rows == sampled * len(tasks) and alien == 0,
            {"sampled": sampled, "tasks": len(tasks), "labels": rows, "alien": alien},
        )

    return labels_account_for_the_sample


def _shares_account(partitions: Partitions) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="label_shares", additional_ins={"labels": dg.AssetIn("labels")}, partitions_def=partitions.grid
    )
    def shares_account_for_every_label(label_shares: Frame, labels: Frame) -> dg.AssetCheckResult:
        """The cells of a task hold all its conversations (answered, invalid, unanswered, suppressed)."""
        rows = count_rows(labels)
        whole = label_shares.filter(nw.col("segment") == "all")
        in_cells = _total(whole, "n")
        tasks = count_rows(whole.select("task").unique())
        share_gap = abs(_total(whole, "share") - tasks)
        return _verdict(
            in_cells == rows and share_gap < 1e-6, {"labels": rows, "in_cells": in_cells, "share_gap": share_gap}
        )

    return shares_account_for_every_label


def _quarantine(partitions: Partitions) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="rejected_conversations",
        additional_ins={"conversations": dg.AssetIn("conversations")},
        partitions_def=partitions.weekly,
    )
    def quarantine_is_small(rejected_conversations: Frame, conversations: Frame) -> dg.AssetCheckResult:
        """Warns when over 1 % of the week's rows broke the contract."""
        rejected, accepted = count_rows(rejected_conversations), count_rows(conversations)
        share = rejected / (rejected + accepted) if rejected else 0.0
        return dg.AssetCheckResult(
            passed=share <= 0.01,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"rejected": rejected, "accepted": accepted, "share": share},
            description=f"{rejected:,} rows of the source were quarantined; rejected_conversations says where they "
            "stand and why. Mend the source, or map its columns in source.columns.",
        )

    return quarantine_is_small


def _evaluation_gate(partitions: Partitions) -> dg.AssetChecksDefinition:
    @dg.asset_check(name=GATE, asset="responses", partitions_def=partitions.grid, blocking=True)
    def evaluation_lets_it_run(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        request_plan: dg.ResourceParam[RequestPlan],
    ) -> dg.AssetCheckResult:
        """No verdict of `semtel evaluate` stands against this prompt on these models, unless somebody accepted it."""
        decision = gate_decision(classifier_of(context.partition_key), settings, prompts, request_plan)
        return dg.AssetCheckResult(
            passed=decision.passed,
            metadata=gate_metadata(decision),
            description=decision.because,
        )

    return evaluation_lets_it_run


def gate_decision(classifier: str, settings: Settings, prompts: Prompts, plan: RequestPlan) -> gate.Decision:
    """Whether a classifier may run with its prompt and the plan's models as they are."""
    models = [gate.model_of(endpoint.model) for endpoint in plan.endpoints]
    return gate.decide(settings.storage, classifier, prompts[classifier].fingerprint, models)


def stop_at_gate(context: dg.AssetExecutionContext, settings: Settings, prompts: Prompts, plan: RequestPlan) -> None:
    """Ends a step before anything is asked, whoever launched it, where a verdict stands against its prompt.

    Raises:
        dagster.Failure: Nobody accepted the verdict; it is not tried again.
    """
    decision = gate_decision(classifier_of(context.partition_key), settings, prompts, plan)
    if not decision.passed:
        context.instance.report_runless_asset_event(gate_failure(context.partition_key, decision))
        raise dg.Failure(f"{GATE}: {decision.because}", metadata=gate_metadata(decision), allow_retries=False)


def gate_failure(partition_key: str, decision: gate.Decision) -> dg.AssetCheckEvaluation:
    """The failed check of a partition that is not even asked about, for the instance's log."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("responses"),
        check_name=GATE,
        passed=False,
        metadata=gate_metadata(decision),
        description=decision.because,
        blocking=True,
        partition=partition_key,
    )


def gate_metadata(decision: gate.Decision) -> dict[str, dg.MetadataValue]:
    """The decision's verdict and evaluation, for a check's metadata."""
    words = {"verdict": decision.verdict or "not evaluated", "evaluation": decision.evaluation}
    return {name: dg.MetadataValue.text(word) for name, word in words.items()}


def _verdict(passed: bool, figures: dict[str, float]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        metadata=figures,
        description="Everything adds up." if passed else f"The rows do not add up. {MEND}",
    )


def _counts(frame: Frame, column: str) -> tuple[int, int]:
    rows = frame.select(rows=nw.len(), distinct=nw.col(column).n_unique()).collect(backend="pyarrow").rows()
    return int(rows[0][0]), int(rows[0][1])


def _total(frame: Frame, column: str) -> float:
    return float(frame.select(nw.col(column).sum()).collect(backend="pyarrow").item() or 0)
