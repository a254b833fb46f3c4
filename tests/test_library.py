"""The names that `import cxr_core` offers: each with an example that runs, and none loaded before it is asked for."""

import doctest
import json
import pkgutil

import pytest

import cxr_core

# A training of a moment, but with TensorFlow to load.
SLOW = {"train"}
FUNCTIONS = [name for name in cxr_core.__all__ if callable(getattr(cxr_core, name))]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in FUNCTIONS]
)
def test_each_name_has_an_example_that_runs(name):
    examples = list(doctest.DocTestFinder(recurse=False).find(getattr(cxr_core, name), name))
    assert sum(len(test.examples) for test in examples) >= 2
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        assert runner.run(test).failed == 0


def test_no_name_is_that_of_a_package_which_would_take_its_place_once_imported():
    assert not {package.name for package in pkgutil.iter_modules(cxr_core.__path__)} & set(cxr_core.__all__)


def test_importing_the_package_loads_none_of_its_rooms(run_python):
    loaded = "[name for name in sys.modules if name.startswith(('cxr_core.', 'numpy'))]"
    answer = run_python("-c", f"import sys, json, cxr_core; print(json.dumps({loaded}))")
    assert json.loads(answer.stdout) == [], answer.stderr


def test_names_are_listed_and_unknown_ones_are_refused():
    assert set(cxr_core.__all__) <= set(dir(cxr_core))
    with pytest.raises(AttributeError, match="no attribute 'diagnose'"):
        _ = cxr_core.diagnose


def test_gradcam_refuses_a_class_that_the_classifier_does_not_know(demo_data):
    classifier = cxr_core.load_classifier(cxr_core.SHIPPED_MODEL_DIR)
    data = next((demo_data / "normal").glob("*.png")).read_bytes()
    with pytest.raises(ValueError, match="class_name must be one of normal, covid, virus, other; received 'flu'"):
        cxr_core.gradcam(classifier, data, "flu")
