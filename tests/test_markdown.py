"""Does every text from outside pass one escaping function before a page takes it for Markdown?

The sources are read, not run. What reaches Streamlit as Markdown must be written out in the sources, be a number in a
number's format, or come from a function that is annotated to return `Markdown`; those of ui/common/markdown.py escape.
"""

import ast
import re

import pytest
from conftest import PROJECT
from hypothesis import given
from hypothesis import strategies as st

from cxr_core.config import HOME_DIR, VISITS_DIR
from ui.common.markdown import plain_name, plain_text, without_paths

# Streamlit's functions, with the positions of the arguments that it takes for Markdown.
FIRST = (
    "error", "warning", "info", "success", "caption", "markdown", "write", "title", "header", "header", "toast",
    "expander", "button", "toggle", "checkbox", "popover", "status", "link_button", "download_button", "radio",
    "spinner", "selectbox", "text_input", "text_area", "number_input", "slider", "select_slider", "multiselect",
    "segmented_control", "pills", "file_uploader", "form_submit_button",
)  # fmt: skip
SINKS = dict.fromkeys(FIRST, (0,)) | {"metric": (0, 1, 2), "image": (1,), "progress": (1,), "update": ()}
KEYWORDS = {"help", "label", "caption", "body", "text"}
# Numbers, and what the app's own sources say.
NUMBER = re.compile(r"[+,.\d]*[dfgeE%]$|[\d]*,$")
NUMBER_CALLS = {"len", "int", "round", "percent"}
OWN_METHODS = {"items", "keys", "values", "get", "lower", "capitalize"}


def is_constant(name):
    return name.strip("_").isupper()


def says_markdown(annotation):
    return annotation is not None and "Markdown" in ast.unparse(annotation)


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def own_nodes(scope):
    """All nodes of a module or function, but of the functions in it only their beginning."""
    todo = list(scope.body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef):
            todo += ast.iter_child_nodes(node)


class Reader:
    """Reads sources; `found` lists each text that may be from outside and is taken for Markdown."""

    def __init__(self, trees):
        self.trees, self.found = trees, []
        every = [function for tree in trees.values() for function in functions(tree)]
        self.returns = {f.name: f.returns for f in every if says_markdown(f.returns)}
        self.parameters = {}
        for function in every:
            names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
            all_of = [*function.args.args, *function.args.kwonlyargs]
            marked = {a.arg for a in all_of if says_markdown(a.annotation)}
            if marked:
                self.parameters[function.name] = (names, marked)

    def read(self):
        for name, tree in self.trees.items():
            self._read_scope(name, tree, {})
        return self.found

    def _read_scope(self, name, scope, outer):
        known = self._known(scope, outer)
        for node in own_nodes(scope):
            if isinstance(node, ast.Call):
                self.found += [
                    f"{name}:{text.lineno} {ast.unparse(text)}"
                    for text in self._taken(node)
                    if not self._is_own(text, known)
                ]
            elif isinstance(node, ast.FunctionDef):
                self._read_scope(name, node, known)

    def _taken(self, call):
        """The arguments of a call that are taken for Markdown."""
        target = call.func
        if isinstance(target, ast.Name | ast.Attribute):
            name = target.id if isinstance(target, ast.Name) else target.attr
            if name in self.parameters:
                names, marked = self.parameters[name]
                by_place = [a for n, a in zip(names, call.args, strict=False) if n in marked]
                return [*by_place, *(k.value for k in call.keywords if k.arg in marked)]
            if name not in SINKS or isinstance(target, ast.Name):
                return []
            places = SINKS[name]
        elif any(isinstance(n, ast.Attribute) and n.attr in SINKS for n in ast.walk(target)) or (
            isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and is_constant(target.value.id)
        ):
            # (st.warning if … else st.success)(…), or one of several that a constant holds.
            places = (0,)
        else:
            return []
        by_place = [call.args[i] for i in places if i < len(call.args)]
        return [*by_place, *(k.value for k in call.keywords if k.arg in KEYWORDS)]

    def _known(self, scope, outer):
        """{name: True where only the app's own text is ever assigned to it}."""
        known = dict(outer)
        if isinstance(scope, ast.FunctionDef):
            for argument in (*scope.args.args, *scope.args.kwonlyargs):
                kind = ast.unparse(argument.annotation) if argument.annotation else ""
                known[argument.arg] = kind in ("int", "float") or says_markdown(argument.annotation)
        for _ in range(3):
            given_to = {}
            for node in own_nodes(scope):
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        self._bind(target, node.value, known, given_to)
                elif isinstance(node, ast.AugAssign):
                    self._bind(node.target, node.value, known, given_to)
                elif isinstance(node, ast.For | ast.comprehension):
                    self._bind(node.target, self._items(node.iter), known, given_to)
            declared = {
                node.target.id: says_markdown(node.annotation)
                for node in own_nodes(scope)
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            }
            known |= {name: all(values) for name, values in given_to.items()} | declared
        return known

    def _items(self, iterable):
        """What stands for an item of an iterable; for `zip` and `enumerate`, a tuple of them."""
        match iterable:
            case ast.Call(func=ast.Name(id="zip"), args=of):
                return ast.Tuple(list(map(self._items, of)))
            case ast.Call(func=ast.Name(id="enumerate"), args=[of]):
                return ast.Tuple([ast.Constant(0), self._items(of)])
        return iterable

    def _bind(self, target, value, known, given_to):
        if isinstance(target, ast.Name):
            given_to.setdefault(target.id, []).append(self._is_own(value, known))
        elif isinstance(target, ast.Tuple):
            parts = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
            returned = self._returned(value)
            for i, inner in enumerate(target.elts):
                if returned and isinstance(inner, ast.Name):
                    given_to.setdefault(inner.id, []).append(says_markdown(returned[i]))
                else:
                    self._bind(inner, parts[i] if parts else value, known, given_to)

    def _returned(self, value):
        """The annotations of the parts that a call returns."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in self.returns:
            annotation = self.returns[value.func.id]
            if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
                return annotation.slice.elts
        return None

    def _is_own(self, node, known):
        """True where a text is the app's own, a number, or escaped."""
        own = lambda inner: self._is_own(inner, known)  # noqa: E731
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return is_constant(name) or known.get(name, False)
            case ast.FormattedValue(value=value, format_spec=spec):
                text = "".join(part.value for part in spec.values if isinstance(part, ast.Constant)) if spec else ""
                return bool(NUMBER.search(text)) or own(value)
            case ast.JoinedStr(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.BoolOp(values=parts):
                return all(map(own, parts))
            case ast.BinOp(left=left, op=op, right=right):
                return own(left) and own(right) if isinstance(op, ast.Add) else isinstance(op, ast.Sub | ast.FloorDiv)
            case ast.IfExp(body=body, orelse=other):
                return own(body) and own(other)
            case ast.Attribute(value=value, attr=name):
                return is_constant(name) or own(value)
            case ast.Subscript(value=value):
                return own(value)
            case ast.GeneratorExp(elt=item, generators=loops) | ast.ListComp(elt=item, generators=loops):
                inner = dict(known)
                for loop in loops:
                    given_to = {}
                    self._bind(loop.target, self._items(loop.iter), inner, given_to)
                    inner |= {name: all(values) for name, values in given_to.items()}
                return self._is_own(item, inner)
            case ast.Call(func=ast.Name(id=name)):
                return name in self.returns or name in NUMBER_CALLS
            case ast.Call(func=ast.Attribute(value=value, attr="join"), args=[parts]):
                return own(value) and own(parts)
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return name in self.returns or (name in OWN_METHODS and own(value))
            case ast.Starred(value=value):
                return own(value)
        return False


def read(sources):
    return Reader({name: ast.parse(text) for name, text in sources.items()}).read()


def test_no_page_takes_a_text_from_outside_for_markdown():
    files = sorted(path for folder in ("ui", "pages") for path in (PROJECT / folder).rglob("*.py"))
    assert read({str(path.relative_to(PROJECT)): path.read_text(encoding="utf-8") for path in files}) == []


@pytest.mark.parametrize(
    "line",
    [
        "st.error(str(error))", "st.caption(f'{row.file}')", "st.markdown('a' + name)", "column.metric('a', name)",
        "st.button('a', help=note)", "st.sidebar.caption(' '.join(names))", "place.image(image, caption=name)",
        "(st.warning if x else st.success)(sentence)", "_SHOWN[level](sentence)", "show('a', name)", "show(label=name)",
        "text = name\nst.info(text)", "for a, b in zip('ab', names):\n    st.info(b)", "st.info(f'{n:>30}')",
        "st.error(class_label(name))", "def f(x: str):\n    st.info(x)",
    ],
)  # fmt: skip
def test_a_text_from_outside_is_found(line):
    assert read({"a": f"def show(place, label: Markdown):\n    pass\n{line}"})


@pytest.mark.parametrize(
    "line",
    [
        "st.error('a')", "st.caption(f'{plain(name)}, {n:,} images, {share:.1%}')", "st.info(f'{len(names)}')",
        "text = 'a' if x else plain(name)\nst.info(text)", "st.info(' '.join(plain(n) for n in names))",
        "for a, b in zip(names, ('x', 'y')):\n    st.info(b)", "st.info(TITLES[kind])", "show('a', plain(name))",
        "def f(x: Markdown):\n    st.info(x)", "x, y = both()\nst.info(y)",
    ],
)  # fmt: skip
def test_an_escaped_text_is_not_found(line):
    functions_of = "def plain(text) -> Markdown:\n    pass\ndef both() -> tuple[int, Markdown]:\n    pass\n"
    assert read({"a": f"{functions_of}def show(place, label: Markdown):\n    pass\n{line}"}) == []


@given(st.text())
def test_an_escaped_text_has_no_sign_of_markdown_that_is_not_escaped(text):
    # A mark of no width keeps addresses from becoming links.
    shown = plain_text(text).replace("\N{WORD JOINER}", "")
    assert shown.isprintable()
    left = re.sub(r"\\[\\`*_{}\[\]()#+\-.!|~<>$:&@]", "", shown)
    assert not re.search(r"[\\`*_{}\[\]()#+\-.!|~<>$:&@]", left)


def test_of_a_long_name_the_end_is_kept():
    assert plain_name("a" * 70 + "b", 10) == "…" + "a" * 9 + "b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"There is no folder {HOME_DIR}/data/x y/z.png.", "There is no folder x y/z.png."),
        (f"'{VISITS_DIR}/0123/normal/a.png' vanished.", "'a.png' vanished."),
        ("No such file: '/srv/lab/secret/b.png'", "No such file: 'b.png'"),
        ("C:\\Users\\ada\\scan.png is broken.", "scan.png is broken."),
        ("The file has 41 MB; at most 40 MB are read.", "The file has 41 MB; at most 40 MB are read."),
        ("normal/a.png and 3/4 of 1/2, and/or", "normal/a.png and 3/4 of 1/2, and/or"),
    ],
    # Not by the text: each worker's own folder is in it.
    ids=("home", "visit", "elsewhere", "Windows", "no path", "shares"),
)  # fmt: skip
def test_a_path_of_this_computer_loses_its_folders(text, shown):
    assert without_paths(text) == shown
