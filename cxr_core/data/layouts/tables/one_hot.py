"""Which tables have one column of 0 and 1 for each class?"""

from collections.abc import Sequence
from functools import lru_cache

from cxr_core.data.layouts.side_names import sides_of
from cxr_core.data.layouts.tables.adapters import PassedOver, Row, TableKind, Told
from cxr_core.data.layouts.tables.cells import read_sex
from cxr_core.data.layouts.tables.label_mapping import usual_names

_YES, _NO = ("1", "1.0"), ("0", "0.0")


def one_hot_kind(columns: Sequence[str], rows: Sequence[Row]) -> TableKind | None:
    """Return the kind of table in which each row has a 1 in one of several columns, the classes, and 0 in the others.

    Args:
        columns: of the table; the one of the images is called as such columns are, and none is called label.
        rows: all of them. Columns that are called after a sex or a side of a split are no classes.

    Returns:
        None for any other table: of findings that go together, and of facts such as "intubated", somebody has to say
        which form the class.
    """
    usual = usual_names(columns)
    if "path" not in usual or "label" in usual or not rows:
        return None
    free = (name for name in columns if name and name not in usual.values())
    classes = [name for name in free if all(row[name] in (*_YES, *_NO) for row in rows) and not _is_other(name)]
    ones = [[name for name in classes if row[name] in _YES] for row in rows]
    if any(len(names) != 1 for names in ones) or len({name for (name,) in ones}) < 2:
        return None
    return _kind(tuple(usual.items()), tuple(classes))


def _is_other(name: str) -> bool:
    return bool(sides_of([name])) or read_sex(name) != name or name in ("male", "female")


@lru_cache
def _kind(usual: tuple[tuple[str, str], ...], classes: tuple[str, ...]) -> TableKind:
    def read(row: Row) -> Told:
        ones = tuple(name for name in classes if row[name] in _YES)
        if len(ones) > 1:
            raise PassedOver("it has a 1 for several classes")
        cells = {name: row[column] for name, column in usual}
        return Told(cells.pop("path"), ones, **cells)

    columns = frozenset((*classes, *(column for _, column in usual)))
    said = ", ".join(f"{name} from {column}" for name, column in usual)
    label = f"Label table with one column for each class, {said}"
    return TableKind(label, columns, read, literal_labels=True)
