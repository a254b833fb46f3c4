"""How an answer looks as a row of JSON or CSV."""

import csv
import io

# What a spreadsheet would take for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def flat_row(row, classes):
    """Return a row as one line of a table.

    Args:
        row: dict as `prediction_rows.answer_row` makes it.
        classes: sequence of str.

    Returns:
        dict of `file`, `status`, `label`, `p_<class>` for every class, `confidence` (the highest probability),
        `margin` (highest less second: the smaller, the more doubt), `reasons`, `notes` and `error`; None where a
        value is missing.
    """
    probabilities = [row["probabilities"].get(name) for name in classes]
    known = row["status"] != "error"
    return {
        "file": row["file"],
        "status": row["status"],
        "label": row["label"],
        **{f"p_{name}": p for name, p in zip(classes, probabilities, strict=True)},
        "confidence": max(probabilities) if known else None,
        "margin": _margin(probabilities) if known else None,
        "reasons": " ".join(row["reasons"]),
        "notes": " ".join(row["notes"]),
        "error": row["error"],
    }


def sort_items(items, by):
    """Return Items in another order; those that could not be read come last.

    Args:
        items: list of Item.
        by: a class name, the most probable first, or "doubt", the smallest margin first.
    """

    def key(item):
        probabilities = item.row["probabilities"]
        if not probabilities:
            return (1, 0.0)
        return (0, _margin(probabilities.values()) if by == "doubt" else -probabilities[by])

    return sorted(items, key=key)


def rows_csv(rows, classes):
    """Return rows as the text of a CSV file, str; a file name that a spreadsheet would calculate gets an apostrophe.

    Args:
        rows: list of dict, as `prediction_rows.answer_row` makes them.
        classes: sequence of str.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, flat_row(error_row("", ""), classes), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        name = f"'{row['file']}" if row["file"].startswith(_FORMULA) else row["file"]
        writer.writerow(flat_row(row | {"file": name}, classes))
    return stream.getvalue()


def _margin(probabilities):
    second, first = sorted(probabilities)[-2:]
    return first - second


def answer_row(name, answer):
    """Return an Answer as JSON takes it: the row that the command line and the API give for a file."""
    probabilities = zip(answer.prediction.classes, answer.prediction.probabilities, strict=True)
    return {
        "file": name,
        "status": answer.status,
        "label": answer.label,
        "probabilities": {class_name: float(p) for class_name, p in probabilities},
        "reasons": list(answer.reasons),
        "notes": list(answer.notes),
        "nearest": [{"class": n.class_name, "similarity": round(n.similarity, 4)} for n in answer.neighbours],
        "error": None,
    }


def error_row(name, sentence):
    """Return the row of a file that could not be answered at all."""
    empty = {"label": None, "probabilities": {}, "reasons": [], "notes": [], "nearest": []}
    return {"file": name, "status": "error", **empty, "error": sentence}
