"""What a job found."""

import pandas as pd

from cxr_core.evaluation.metrics import figure_text
from cxr_core.evaluation.repeated_runs import (
    pooled_metrics,
    pooled_predictions,
    repeated_runs_table,
    repeats_sentence,
    seeds_table,
)
from cxr_core.jobs.job import count_done


def job_progress(job):
    """Say how far a job is.

    Returns:
        (done, total, eta_seconds): float runs, parts counted; int; float at the pace so far, or None.
    """
    status, total = job.status(), job.plan().total
    done = count_done(job)
    gained, spent = done - status.done_before, status.updated - status.started
    eta = (total - done) * spent / gained if status.is_active and gained > 0 and spent > 0 else None
    return done, total, eta


def members_table(job):
    """Return a DataFrame for people: one row per run of a job, with what it tries and how it does."""
    rows = []
    for member in job.members():
        state = member.state
        status, epochs, metrics = member.run.status(), member.run.epochs(), member.run.metrics()
        rows.append(
            {
                "part": member.label,
                "state": state,
                "epochs": "" if state == "waiting" else f"{status.epoch} of {status.epochs}",
                **member.values,
                "lowest validation loss": epochs["val_loss"].min() if len(epochs) else None,
                "best validation accuracy": epochs["val_accuracy"].max() if len(epochs) else None,
                "test accuracy": metrics["test"]["accuracy"] if metrics else None,
                "run": member.run.name,
                "message": "" if state in ("waiting", "finished") else status.message,
            }
        )
    return pd.DataFrame(rows)


def job_results(job):
    """Gather what a job found.

    Returns:
        dict of `kind`, `runs` (one dict per tested run), `spread` (one dict per figure, see
        `repeated_runs.repeated_runs_table`; empty for a search), `pooled` (all folds together, as
        `metrics.evaluate_predictions`, or None) and, for a search, `trials` and `chosen`, the name of the run with
        the lowest validation loss (or None).
    """
    plan, members = job.plan(), job.members()
    tested = [member.run for member in members if member.run.metrics() and member.state == "finished"]
    found = {"kind": plan.kind, "runs": _plain(seeds_table(tested)), "spread": [], "pooled": None}
    if plan.kind == "search":
        best = best_trial(members)
        trials = [{"part": m.label, "run": m.run.name, **m.values, "loss": member_loss(m)} for m in members]
        return found | {"trials": trials, "chosen": best.run.name if best else None}
    if len(tested) > 1:
        found["spread"] = _plain(repeated_runs_table(tested))
    pooled = pooled_predictions(tested) if plan.kind == "folds" else None
    if pooled is not None:
        found["pooled"] = pooled_metrics(pooled, tested[0].metrics()["test"]["classes"])
    return found


def job_summary(job):
    """Say in a few lines what a job found, str."""
    results = job_results(job)
    if results["kind"] == "search":
        table = pd.DataFrame(results["trials"]).sort_values("loss", na_position="last")
        return f"{table.to_string(index=False)}\nLowest validation loss: {results['chosen']}"
    lines = [repeats_sentence(pd.DataFrame(results["runs"]))] if len(results["runs"]) > 1 else []
    if results["spread"]:
        lines.append(pd.DataFrame(results["spread"]).round(4).to_string(index=False))
    if results["pooled"]:
        pooled = results["pooled"]
        told = figure_text(pooled["accuracy"], pooled["ci95"]["accuracy"])
        lines.append(f"All folds together: {pooled['n']} images, accuracy {told}")
    return "\n".join(lines)


def member_loss(member):
    """Return the lowest validation loss of a finished Member, or None. The test images play no part in it."""
    epochs = member.run.epochs() if member.state == "finished" else ()
    return float(epochs["val_loss"].min()) if len(epochs) else None


def best_trial(members):
    """Return the finished Member with the lowest validation loss, or None."""
    losses = [(member_loss(member), i) for i, member in enumerate(members)]
    losses = [(loss, i) for loss, i in losses if loss is not None]
    return members[min(losses)[1]] if losses else None


def _plain(table):
    """Return a table's rows as dicts that JSON can hold."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
