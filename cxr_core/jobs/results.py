"""What did a job find?"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pandas as pd

from cxr_core.data.sources import source_label
from cxr_core.evaluation.metrics import Metrics, figure_text
from cxr_core.evaluation.repeated_runs import (
    pooled_metrics,
    pooled_predictions,
    repeated_runs_table,
    repeats_sentence,
    seeds_table,
)
from cxr_core.jobs.job import Job, Member, count_done
from cxr_core.jobs.left_out_sources import left_out_sentence, left_out_table
from cxr_core.jobs.plan import JobKind
from cxr_core.runs.overview import kept_accuracy
from cxr_core.runs.run import Run


class JobResults(TypedDict):
    """What a job found; stored as JSON.

    Attributes:
        kind: folds, seeds, sources or a search.
        runs: a row of `repeated_runs.seeds_table` per tested run.
        spread: a row of `repeated_runs.repeated_runs_table` per metric; only of folds and seeds.
        sources: a row of `left_out_sources.left_out_table` per source; of a job over sources only.
        pooled: metrics of the test predictions of all folds together; None where they cannot be pooled.
        trials: label, run, what was tried and lowest validation loss of each trial; of a search only.
        chosen: name of the run with the lowest validation loss; None without a finished trial. Of a search only.
    """

    kind: JobKind
    runs: list[dict[str, Any]]
    spread: list[dict[str, Any]]
    pooled: Metrics | None
    sources: NotRequired[list[dict[str, Any]]]
    trials: NotRequired[list[dict[str, Any]]]
    chosen: NotRequired[str | None]


def job_progress(job: Job) -> tuple[float, int, float | None]:
    """Say how far a job is.

    Returns:
        (done, total, eta_seconds): runs that are done, unfinished ones as fractions; all runs; seconds to the end at
        the pace so far, or None.
    """
    status, total = job.status(), job.plan().total
    done = count_done(job)
    gained, spent = done - status.done_before, status.updated - status.started
    eta = (total - done) * spent / gained if status.is_active and gained > 0 and spent > 0 else None
    return done, total, eta


def members_table(job: Job) -> pd.DataFrame:
    """Return one row per run of a job for people to read: what it tries, and how well it does."""
    return pd.DataFrame([_member_row(member) for member in job.members()])


def _member_row(member: Member) -> dict[str, Any]:
    state, source = member.state, member.config.test_source
    status, epochs = member.run.status(), member.run.epochs()
    return {
        "part": member.label.removesuffix(source) + source_label(source),
        "state": state,
        "epochs": "" if state == "waiting" else f"{status.epoch} of {status.epochs}",
        **member.values,
        "lowest validation loss": epochs["val_loss"].min() if len(epochs) else None,
        "validation accuracy": kept_accuracy(epochs),
        "run": member.run.name,
        "message": "" if state in ("waiting", "finished") else status.message,
    }


def job_results(job: Job) -> JobResults:
    """Gather what a job has found so far."""
    plan, members = job.plan(), job.members()
    tested = [member.run for member in members if member.run.metrics() and member.state == "finished"]
    found: JobResults = {"kind": plan.kind, "runs": _plain(seeds_table(tested)), "spread": [], "pooled": None}
    if plan.kind == "search":
        best = best_trial(members)
        found["trials"] = [{"part": m.label, "run": m.run.name, **m.values, "loss": member_loss(m)} for m in members]
        found["chosen"] = best.run.name if best else None
        return found
    if plan.kind == "sources":
        found["sources"] = _plain(left_out_table(members))
        return found
    if len(tested) > 1:
        found["spread"] = _plain(repeated_runs_table(tested))
    if plan.kind == "folds":
        found["pooled"] = _pooled(tested)
    return found


def _pooled(tested: Sequence[Run]) -> Metrics | None:
    predictions = pooled_predictions(tested)
    metrics = tested[0].metrics() if tested else None
    if predictions is None or metrics is None:
        return None
    return pooled_metrics(predictions, metrics["test"]["classes"])


def job_summary(job: Job) -> str:
    """Say in a few lines what a job has found so far."""
    results = job_results(job)
    if results["kind"] == "search":
        table = pd.DataFrame(results["trials"]).sort_values("loss", na_position="last")
        return f"{table.to_string(index=False)}\nLowest validation loss: {results['chosen']}"
    if results["kind"] == "sources":
        sources = pd.DataFrame(results["sources"])
        return f"{sources.round(4).to_string(index=False)}\n{left_out_sentence(sources)}"
    lines = [repeats_sentence(pd.DataFrame(results["runs"]))] if len(results["runs"]) > 1 else []
    if results["spread"]:
        lines.append(pd.DataFrame(results["spread"]).round(4).to_string(index=False))
    if results["pooled"]:
        pooled = results["pooled"]
        accuracy = figure_text(pooled["accuracy"], pooled["ci95"]["accuracy"])
        lines.append(f"All folds together: {pooled['n']} images, accuracy {accuracy}")
    return "\n".join(lines)


def member_loss(member: Member) -> float | None:
    """Return the lowest validation loss of a finished run, or None. The test images play no part in it."""
    epochs = member.run.epochs() if member.state == "finished" else pd.DataFrame()
    return float(epochs["val_loss"].min()) if len(epochs) else None


def best_trial(members: Sequence[Member]) -> Member | None:
    """Return the finished run with the lowest validation loss, the earliest of several; None without one."""
    losses = [(member_loss(member), i) for i, member in enumerate(members)]
    finished = [(loss, i) for loss, i in losses if loss is not None]
    return members[min(finished)[1]] if finished else None


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as dictionaries that JSON can hold."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]
