"""How does a card read as Markdown?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cxr_core.classes import class_label
from cxr_core.data.sources import source_label
from cxr_core.evaluation.headline_metrics import card_figures, external_title, value_text
from cxr_core.evaluation.hospitals.source_scores import source_notes, source_table, worst_source_sentences
from cxr_core.evaluation.metrics import Metrics, class_texts, figure_text
from cxr_core.inference.model_card import Card
from cxr_core.reporting.run_statements import interval_words, temperature_sentence, title_of_test, title_of_validation
from cxr_core.robustness.shortcut_results import ShortcutSummary
from cxr_core.robustness.shortcut_verdict import card_shortcuts
from cxr_core.system.text import percent

if TYPE_CHECKING:
    # Imports scikit-learn and draws images: nothing that a card needs.
    from cxr_core.robustness.gate_fitting import GateMeasurements


def figures_markdown(card: Card) -> str:
    """Return the counts and metrics of a card as Markdown tables."""
    lines = [*_images_lines(card), *_headline_lines(card)]
    for title, metrics in _scored_sets(card):
        lines += [*_report_lines(title, metrics), *_answers_lines(metrics)]
    lines += _sources_lines(card.metrics["test"])
    lines += [
        *_calibration_lines(card),
        *_shortcuts_lines(card_shortcuts(card)),
        *_gate_lines(card.metrics.get("gate")),
    ]
    return "\n".join(lines) + "\n"


def _images_lines(card: Card) -> Iterator[str]:
    counts = card.training["data"]["images"]
    yield "## Images\n"
    yield "| class | " + " | ".join(counts) + " |"
    yield "|---|" + "---:|" * len(counts)
    for name in card.classes:
        yield f"| {class_label(name)} | " + " | ".join(str(c.get(name, 0)) for c in counts.values()) + " |"


def _headline_lines(card: Card) -> Iterator[str]:
    yield "\n## Measured\n"
    yield "| metric | value | images | what it is |"
    yield "|---|---:|---:|---|"
    for figure in card_figures(card):
        yield f"| {figure.label}, {figure.where} | {value_text(figure)} | {figure.n} | {figure.explanation} |"
    words = interval_words(card.metrics["test"])
    if words:
        yield f"\nIn brackets: {words}."


def _scored_sets(card: Card) -> Iterator[tuple[str, Metrics]]:
    yield title_of_validation(card.training), card.metrics["validation"]
    yield title_of_test(card.training, card.metrics.get("test_looks")), card.metrics["test"]
    for name, metrics in card.metrics.get("external", {}).items():
        yield external_title(name, metrics), metrics


def _report_lines(title: str, metrics: Metrics) -> Iterator[str]:
    yield f"\n### {title}\n"
    yield "| class | precision | recall | F1 | AUC | images |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, row in metrics["per_class"].items():
        cells = " | ".join(class_texts(metrics, name).values())
        yield f"| {class_label(name)} | {cells} | {row['support']} |"


def _answers_lines(metrics: Metrics) -> Iterator[str]:
    answers = metrics.get("answers")
    if not answers or not answers["abstain_below"]:
        return
    limit, unanswered = answers["abstain_below"], 1 - answers["coverage"]
    yield f'\nBelow a confidence of {limit:.2f} it answers "not sure": {percent(unanswered)} of the images.'
    for name, row in answers["per_class"].items():
        told = ", ".join(f"{class_label(answer)} {percent(cell['share'])}" for answer, cell in row.items())
        yield f"Of {class_label(name)}: {told}."


def _sources_lines(test: Metrics) -> Iterator[str]:
    """Yield how good it is at each source of its test images; nothing where there are not several."""
    scores = test.get("sources")
    if not scores:
        return
    yield "\n## At each source of its test images\n"
    yield f"{' '.join(worst_source_sentences(scores))} By the likeliest class, abstaining from nothing.\n"
    # A table of so many columns would not fit a narrow page.
    for row in source_table(scores).to_dict("records"):
        told = "; ".join(f"{name} {text}" for name, text in row.items() if name != "Source" and text != "–")
        yield f"- **{_in_line(row['Source'])}**: {told}"
    notes = source_notes(scores, test["n"])
    if notes:
        yield f"\n{' '.join(notes)}"


def _in_line(text: str) -> str:
    """Return a text that ends neither its line nor its bold type: a source may be called anything."""
    return text.replace("\n", " ").replace("*", "\\*")


def _calibration_lines(card: Card) -> Iterator[str]:
    validation: Metrics = card.metrics["validation"]
    test: Metrics = card.metrics["test"]
    if "ece" not in test:
        return
    yield "\n## Calibration\n"
    yield "| set | expected calibration error | Brier score |"
    yield "|---|---:|---:|"
    before = validation.get("uncalibrated")
    if before:
        yield f"| validation, before | {before['ece']:.3f} | {before['brier']:.3f} |"
    for name, metrics in (("validation", validation), ("test", test)):
        yield f"| {name} | {metrics['ece']:.3f} | {metrics['brier']:.3f} |"
    yield f"\n{temperature_sentence(card.training, card.temperature)}"


def _shortcuts_lines(result: ShortcutSummary | None) -> Iterator[str]:
    if not result:
        return
    yield "\n## Does it need the lungs?\n"
    for sentence in result["verdict"]["sentences"]:
        yield f"- {sentence}"
    yield f"\nOn {result['tested']} test images; chance is {percent(result['chance'])}.\n"
    yield "| what is shown | as trained | retrained head |"
    yield "|---|---:|---:|"
    for row in result["variants"]:
        as_trained = figure_text(row["accuracy"], row["accuracy_ci95"])
        retrained = figure_text(row["retrained"], row["retrained_ci95"])
        yield f"| {row['title']} | {as_trained} | {retrained} |"


def _gate_lines(gate: "GateMeasurements | None") -> Iterator[str]:
    """Yield what the gate refuses; nothing where there is no gate."""
    if gate is None:
        return
    rows = [
        ("Test images, wrongly refused", gate["test"]),
        ("Images that are not radiographs, rightly refused", gate["strange"]),
        ("Test images rotated, inverted, cropped or put together, rightly refused", gate["altered"]),
        *((f"External data: {source_label(name)}, wrongly refused", row) for name, row in gate["elsewhere"].items()),
    ]
    elsewhere = gate.get("altered_elsewhere")
    if elsewhere:
        rows.append(("External data altered in the same ways, rightly refused", elsewhere))
    yield "\n## The gate before an answer\n"
    yield (
        "| images | refused | not a frontal chest radiograph | not one whole, upright chest "
        "| unlike all training images |"
    )
    yield "|---|---:|---:|---:|---:|"
    for name, row in rows:
        yield (
            f"| {name} | {row['refused']} of {row['n']} | {row['no_chest']} | {row.get('not_whole', 0)} "
            f"| {row['unlike']} |"
        )
    if elsewhere:
        yield "\nOf the altered images, by kind:\n"
        yield "| kind | test images refused | external images refused |"
        yield "|---|---:|---:|"
        for kind, row in elsewhere["kinds"].items():
            own = gate["altered"]["kinds"][kind]
            yield f"| {kind} | {own['refused']} of {own['n']} | {row['refused']} of {row['n']} |"
