"""How a card reads as Markdown."""

from cxr_core.classes import class_label
from cxr_core.evaluation.headline_metrics import card_figures
from cxr_core.evaluation.metrics import figure_text


def figures_markdown(card):
    """Return a card's counts and scores as Markdown tables."""
    counts = card.training["data"]["images"]
    lines = ["## Images\n", "| class | " + " | ".join(counts) + " |", "|---|" + "---:|" * len(counts)]
    for name in card.classes:
        lines.append(f"| {class_label(name)} | " + " | ".join(str(c.get(name, 0)) for c in counts.values()) + " |")
    lines += ["", "## Measured\n", "| figure | value | images | what it is |", "|---|---:|---:|---|"]
    lines += [f"| {f.label}, {f.where} | {_value(f)} | {f.n} | {f.explanation} |" for f in card_figures(card)]
    for title, metrics in _scored_sets(card):
        lines += [
            "",
            f"### {title}\n",
            "| class | precision | recall | F1 | AUC | images |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        ends = (metrics.get("ci95") or {"per_class": {}})["per_class"]
        for name, row in metrics["per_class"].items():
            cells = " | ".join(
                figure_text(row[k], ends.get(name, {}).get(k)) for k in ("precision", "recall", "f1", "auc")
            )
            lines.append(f"| {class_label(name)} | {cells} | {row['support']} |")
        lines += _answers_markdown(metrics)
    lines += [*_calibration_markdown(card), *_shortcuts_markdown(card), *_gate_lines(card.metrics.get("gate"))]
    return "\n".join(lines) + "\n"


def _value(figure):
    if figure.interval is None:
        return f"{figure.value:.1%}"
    return f"{figure.value:.1%} ({figure.interval[0]:.1%} to {figure.interval[1]:.1%})"


def _answers_markdown(metrics):
    answers = metrics.get("answers")
    if not answers or not answers["abstain_below"]:
        return []
    lines = [
        f'\nLess sure than {answers["abstain_below"]:.2f}, it answers "not sure": to {1 - answers["coverage"]:.1%}.'
    ]
    for name, row in answers["per_class"].items():
        told = ", ".join(f"{class_label(answer)} {cell['share']:.1%}" for answer, cell in row.items())
        lines.append(f"Of {class_label(name)}: {told}.")
    return ["\n".join(lines)]


def _calibration_markdown(card):
    test, validation = card.metrics["test"], card.metrics["validation"]
    if "ece" not in test:
        return []
    before = validation.get("uncalibrated", {})
    lines = ["", "## Calibration\n", "| set | expected calibration error | Brier score |", "|---|---:|---:|"]
    if before:
        lines.append(f"| validation, before | {before['ece']:.3f} | {before['brier']:.3f} |")
    lines += [
        f"| {name} | {m['ece']:.3f} | {m['brier']:.3f} |" for name, m in (("validation", validation), ("test", test))
    ]
    return [*lines, f"\nTemperature {card.temperature:.2f}, fitted on validation and applied to every probability."]


def _shortcuts_markdown(card):
    found = card.metrics.get("shortcuts")
    if not found:
        return []
    lines = ["", "## Does it need the lungs?\n", *(f"- {sentence}" for sentence in found["verdict"]["sentences"])]
    lines += ["", f"On {found['tested']} test images; chance is {found['chance']:.1%}.\n"]
    lines += ["| what is shown | as trained | a head retrained on it |", "|---|---:|---:|"]
    for row in found["variants"]:
        values = (figure_text(row[key], row[f"{key}_ci95"]) for key in ("accuracy", "retrained"))
        lines.append(f"| {row['title']} | {' | '.join(values)} |")
    return lines


def _gate_lines(gate):
    """Return the Markdown lines that say what the gate refuses; none where there is no gate."""
    if gate is None:
        return []
    rows = [
        ("Test split, wrongly refused", gate["test"]),
        ("Strange images kept out of the tuning, rightly refused", gate["strange"]),
        ("Test radiographs turned, inverted, cut or put together, rightly refused", gate["altered"]),
        *((f"Radiographs from elsewhere: {name}, refused", row) for name, row in gate["elsewhere"].items()),
    ]
    lines = [
        "",
        "## The gate before an answer\n",
        "| images | refused | of | as no frontal chest | as unlike all known |",
    ]
    lines.append("|---|---:|---:|---:|---:|")
    for name, row in rows:
        lines.append(f"| {name} | {row['refused']} | {row['n']} | {row['no_chest']} | {row['unlike']} |")
    return lines


def _scored_sets(card):
    yield "Validation (chose the best epoch)", card.metrics["validation"]
    yield "Test (looked at once)", card.metrics["test"]
    for name, metrics in card.metrics["external"].items():
        yield f"External: {name} (never trained on)", metrics
