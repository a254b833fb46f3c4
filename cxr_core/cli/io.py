"""How results are written, progress is shown and data sets are opened."""

import json

from tqdm import tqdm


def write_result(result, target, summary):
    """Print the summary, or the JSON where it was asked for."""
    if target is None:
        print(summary)
    elif target == "-":
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        from cxr_core.system.files import write_json

        write_json(target, result)


def progress_bar(description):
    bar = tqdm(desc=description, disable=None, leave=False)

    def report(done, total):
        bar.total, bar.n = total, done
        bar.refresh()

    return report


def open_dataset(options):
    """Return a data set and what was decided about it."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.splits.curation import curation_path, load_curation

    dataset = scan_dataset(*options.folders, progress=progress_bar("Looking through the images"))
    return dataset, load_curation(curation_path(dataset.roots))


def read_curation(path):
    """Return a file's decisions, or None where none was named."""
    from cxr_core.splits.curation import load_curation

    if path is None:
        return None
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    return load_curation(path)
