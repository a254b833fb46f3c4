"""What got slower between two folders of results, beyond the noise of its own repeats?"""

import argparse
from pathlib import Path

from benchmarks.reporting import print_table
from cxr_core.system.files import read_json

# The ends of what the repeats of a figure gave, as results keep them: all of it, or the middle half.
_ENDS = (("min", "max"), ("low", "high"))
# Repeats that lie further apart than this share of the greatest tell nothing.
_WIDEST = 0.5
_MORE_IS_BETTER = "per_second"


def find_spreads(result, path=()):
    """Yield (path, low, high) of every figure in a result that was repeated; path is a tuple of keys."""
    for low, high in _ENDS:
        if isinstance(result, dict) and low in result and high in result:
            yield path, result[low], result[high]
            return
    if isinstance(result, dict):
        for key, value in result.items():
            yield from find_spreads(value, (*path, key))


def judge(path, before, after):
    """Say what became of one figure.

    Args:
        path: keys that lead to it; where one ends with "per_second" more is better.
        before, after: (low, high) of its repeats.

    Returns:
        "slower" or "faster" where the ranges do not meet; else "too wide to tell" if one is wide, or "same".
    """
    if before[1] < after[0] or after[1] < before[0]:
        grew = before[1] < after[0]
        return "faster" if grew == any(key.endswith(_MORE_IS_BETTER) for key in path) else "slower"
    wide = any(high - low > _WIDEST * high for low, high in (before, after))
    return "too wide to tell" if wide else "same"


def compare_results(before, after):
    """Return rows (figure, before, after, verdict) of two folders of results, for the figures that both hold."""
    rows = []
    for path in sorted(before.glob("*.json")):
        if not (after / path.name).is_file():
            continue
        spreads = [{figure: ends for figure, *ends in find_spreads(read_json(f / path.name))} for f in (before, after)]
        for figure, ends in spreads[0].items():
            if figure in spreads[1]:
                texts = (f"{low:g} to {high:g}" for low, high in (ends, spreads[1][figure]))
                rows.append((f"{path.stem}: {', '.join(figure)}", *texts, judge(figure, ends, spreads[1][figure])))
    return rows


def main():
    """Print; exit with 1 if anything got slower."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("before", metavar="BEFORE", type=Path, help="folder of results")
    parser.add_argument("after", metavar="AFTER", type=Path, help="folder of later results of the same machine")
    options = parser.parse_args()
    for folder in (options.before, options.after):
        if not folder.is_dir():
            raise SystemExit(f"Error: there is no folder {folder}; give two folders of results.")
    rows = compare_results(options.before, options.after)
    if not rows:
        raise SystemExit("Error: the two folders have no repeated figure in common; run the same benchmark twice.")
    shown = [row for row in rows if row[-1] != "same"]
    if shown:
        print_table(("figure", "before", "after", ""), shown)
    slower, wide = (sum(row[-1] == verdict for row in rows) for verdict in ("slower", "too wide to tell"))
    print(f"{slower} of {len(rows)} figures got slower beyond the noise of their repeats.")
    if wide:
        print(f"The spread of {wide} is too wide to tell: repeat them on an idle machine.")
    return int(slower > 0)


if __name__ == "__main__":
    raise SystemExit(main())
