"""The house rules, held over the sources: who imports whom, who names which library, and how full a room is."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter

from conftest import PROJECT

CORE = "cxr_core"
# Which package may import which; config.py and classes.py, which import nothing of the project, are open to all.
MAY_IMPORT = {
    "system": set(),
    "imaging": {"system"},
    "data": {"system", "imaging"},
    "splits": {"system", "imaging", "data"},
    "explain": {"system", "imaging"},
    "inference": {"system", "imaging", "explain"},
    "recipes": {"system", "imaging", "splits"},
    "runs": {"system", "splits", "recipes"},
    "evaluation": {"system", "imaging", "data", "splits", "inference", "runs"},
    "audit": {"system", "imaging", "data", "splits", "inference"},
    "robustness": {
        "system", "imaging", "data", "splits", "explain", "inference", "runs", "evaluation", "audit",
    },
    "plots": {"evaluation", "audit", "robustness"},
    "jobs": {"system", "imaging", "data", "splits", "recipes", "runs", "evaluation"},
    "training": {
        "system", "imaging", "data", "splits", "explain", "inference", "recipes", "runs", "evaluation",
    },
    "reporting": {
        "system", "imaging", "data", "splits", "explain", "inference", "runs", "evaluation", "robustness", "plots",
    },
    "http_api": {"system", "imaging", "explain", "inference", "http_connections"},
    "http_connections": set(),
}  # fmt: skip
MAY_IMPORT["library"] = {"system", "data", "splits", "inference", "recipes", "runs", "evaluation", "audit"}
MAY_IMPORT["cli"] = {*MAY_IMPORT}
OPEN_TO_ALL = {"config", "classes", "__init__"}
# The only rooms that may name a library, and what may be named only there.
ONLY_IN = {
    "tensorflow": {"training"},
    "keras": {"training"},
    "tf2onnx": {"training"},
    "plotly": {"plots", "reporting"},
    "onnx": {"explain", "robustness", "training"},
    "streamlit": set(),
}
NOT_IN = {"pandas": {"system", "imaging", "explain", "inference"}}
MOST_FILES = 12


def sources(*folders):
    return sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.py"))


def modules_imported(path):
    """Dotted names of all that a source file imports, anywhere in it; `from a import b` counts as a.b, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def module_name(path):
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def room(module):
    """The room of a dotted name of the core, such as "splits"; None for what is no part of it."""
    parts = module.split(".")
    return parts[1] if parts[0] == CORE and len(parts) > 1 else None


def test_imports_run_one_way_and_never_in_a_circle():
    known = {module_name(path): path for path in sources(CORE, "ui")}
    graph, wrong = {}, []
    for module, path in known.items():
        graph[module] = {name for name in modules_imported(path) if name in known and name != module}
        here = room(module)
        for name in graph[module]:
            there = room(name)
            if here in MAY_IMPORT and there not in MAY_IMPORT[here] | OPEN_TO_ALL | {here}:
                wrong.append(f"{module} imports {name}")
            if here in OPEN_TO_ALL and here != "__init__":
                wrong.append(f"{module} imports {name}, but may import nothing of the project")
            if here and name.startswith("ui"):
                wrong.append(f"{module} imports {name}")
            if module.startswith("ui.") and name.startswith("ui."):
                pair = module.split(".")[1], name.split(".")[1]
                if pair[0] != pair[1] and pair[1] != "common":
                    wrong.append(f"{module} imports its neighbour {name}")
    assert wrong == []
    # Raises CycleError with the circle where there is one.
    assert list(TopologicalSorter(graph).static_order())


def test_each_library_is_named_only_where_it_belongs():
    wrong = []
    for path in sources(CORE, "ui", "pages"):
        here = room(module_name(path))
        named = {name.split(".")[0] for name in modules_imported(path)}
        wrong += [
            f"{module_name(path)} names {library}"
            for library in named
            if here and (here not in ONLY_IN.get(library, {here}) or here in NOT_IN.get(library, set()))
        ]
        if "pages" in named:
            wrong.append(f"{module_name(path)} imports a page")
    assert wrong == []


def test_csv_is_written_in_one_place_where_no_text_becomes_a_formula():
    writers = {"to_csv", "writer", "DictWriter", "write_csv"}
    found = {
        (module_name(path), node.func.attr)
        for path in sources(CORE, "ui", "pages", "benchmarks")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in writers
    }
    place = "cxr_core.system.text"
    assert found == {(place, "to_csv"), (place, "writer")}
    # csv.writer can be imported by its name, too.
    assert [
        module_name(path)
        for path in sources(CORE, "ui", "pages", "benchmarks")
        if {f"csv.{name}" for name in writers} & modules_imported(path)
    ] == []
    # The browser writes a table's own export, as its cells stand.
    assert tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())["client"]["disableDataExport"] is True


def test_headings_follow_a_title_without_a_gap():
    """Streamlit's subheader is a third level: below a page's title stands a header."""
    calls = {
        (module_name(path), node.func.attr)
        for path in sources("ui", "pages")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert {module for module, name in calls if name == "subheader"} == set()


def test_each_room_says_its_question_and_holds_at_most_twelve_files():
    wrong = []
    for folder in sorted({path.parent for path in sources(CORE, "ui")}):
        files = [path for path in folder.glob("*.py") if path.stem != "__init__"]
        start = folder / "__init__.py"
        if not start.exists():
            wrong.append(f"{folder.name} has no __init__.py")
            continue
        tree = ast.parse(start.read_text(encoding="utf-8"))
        question = ast.get_docstring(tree) or ""
        if folder != PROJECT / CORE and (len(tree.body) != 1 or "?" not in question):
            wrong.append(f"{folder.name}/__init__.py must hold its question as a docstring, and nothing else")
        if len(files) > MOST_FILES:
            wrong.append(f"{folder.name} holds {len(files)} files")
    # tests/core/splits/test_leakage.py holds the tests of cxr_core/splits/leakage.py.
    tested = [path.relative_to(PROJECT / "tests" / "core") for path in sources("tests/core") if path.stem != "__init__"]
    wrong += [
        f"{test} tests no file of its room"
        for test in tested
        if len(test.parts) == 2 and not (PROJECT / CORE / test.parent / test.name.removeprefix("test_")).exists()
    ]
    rooms = {path.parent.name for path in (PROJECT / CORE).glob("*/__init__.py")}
    assert wrong == []
    assert rooms | {"http_api", "http_connections", "library"} == set(MAY_IMPORT)


def test_percentages_are_written_with_a_space_everywhere():
    """By `text.percent`: Python's own format has none. A flag's text gets its space later."""
    own = {module_name(PROJECT / "cxr_core/audit/quality_flags.py")}
    wrong = [
        f"{module_name(path)}: {found}"
        for path in sources(CORE, "ui", "pages")
        if module_name(path) not in own
        for found in re.findall(r":[.\d]+%[}\"']|:[.\da-z]+\}%", path.read_text(encoding="utf-8"))
    ]
    assert wrong == []
