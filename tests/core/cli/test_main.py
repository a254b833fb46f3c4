"""Exit codes, and results alone on standard output."""

import errno
import io
import json
import secrets
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, draw_texture

from cxr_core.cli.main import WRONG_USAGE, main
from cxr_core.config import NOTICE, SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.teaching_set import check_teaching_set
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import GATE_FILES
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import Run
from cxr_core.splits.curation import Curation, curation_path, exclude, save_curation
from cxr_core.system.files import read_json

pytestmark = pytest.mark.usefixtures("small_forests")


@pytest.fixture
def command(capfd):
    """A callable(*words) that runs one command here and gives (exit code, output, errors)."""

    def run(*words):
        code = main([str(w) for w in words])
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def images(demo_data, tmp_path_factory):
    """One drawing, one file of text, one drawing."""
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(next(demo_data.glob("covid/*.png")), folder / "first.png")
    (folder / "second.jpg").write_text("no image")
    shutil.copy(next(demo_data.glob("virus/*.jpg")), folder / "third.jpg")
    return [folder / "first.png", folder / "second.jpg", folder / "third.jpg"]


@pytest.fixture
def textures(tmp_path):
    """24 textures in two classes, one of them red, with a smaller copy of `normal/0.png`."""
    folder = tmp_path / "textures"
    for number, name in enumerate(("normal", "virus")):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            cv2.imwrite(str(folder / name / f"{i}.png"), draw_texture(100 * number + i))
    cv2.imwrite(str(folder / "normal" / "copy.jpg"), cv2.resize(draw_texture(0), (200, 200)))
    cv2.imwrite(str(folder / "virus" / "3.png"), cv2.merge([draw_texture(103) // 3] * 2 + [draw_texture(103)]))
    return folder


def test_audit_prints_a_table_and_exits_with_0(command, demo_data):
    code, output, _ = command("audit", demo_data)
    assert code == 0
    assert all(name in output for name in ("normal", "covid", "virus", "median_width"))


def test_audit_json_is_all_there_is_on_standard_output(run_python, demo_data):
    answer = run_python("-m", "cxr_core", "audit", demo_data, "--json", "-")
    assert answer.returncode == 0
    report = json.loads(answer.stdout)
    assert report["images"] == 72
    assert {name: c["images"] for name, c in report["classes"].items()} == {"normal": 24, "covid": 24, "virus": 24}


def test_audit_writes_its_json_to_a_file(command, demo_data, tmp_path):
    code, output, _ = command("audit", demo_data, "--json", tmp_path / "report.json")
    assert (code, output) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text())["images"] == 72


def test_audit_lists_what_it_could_not_read(command, demo_data, tmp_path):
    shutil.copytree(demo_data / "normal", tmp_path / "normal")
    (tmp_path / "normal" / "bad.png").write_text("no image")
    code, output, _ = command("audit", tmp_path)
    assert code == 0
    assert "normal/bad.png" in output


def test_a_missing_folder_is_one_sentence_and_exit_code_1(command, tmp_path):
    code, output, errors = command("audit", tmp_path / "nowhere")
    assert (code, output) == (1, "")
    assert errors.strip() == f"Error: There is no folder {tmp_path / 'nowhere'}."


def test_a_result_that_cannot_be_written_is_one_sentence_and_exit_code_1(command, demo_data, tmp_path):
    code, _, errors = command("audit", demo_data, "--json", tmp_path)
    assert code == 1
    assert errors.strip().splitlines()[-1].startswith("Error: ")


def test_audit_json_tells_of_duplicates_leakage_flags_and_giveaway_by_relative_paths(command, textures):
    code, output, _ = command("audit", textures, "--json", "-")
    report = json.loads(output)
    assert code == 0
    assert [sorted(group) for group in report["duplicate_groups"]] == [["normal/0.png", "normal/copy.jpg"]]
    assert report["flags"]["colour"] == ["virus/3.png"]
    assert report["leakage"]["grouped"]["share_with_train"] == 0
    assert set(report["giveaway"]) >= {"accuracy", "chance", "top"}
    assert str(textures) not in output


def test_split_json_prints_side_and_group_of_every_file(command, textures):
    code, output, _ = command("split", textures, "--json", "-")
    result = json.loads(output)
    assert code == 0
    assert (result["split"], result["seed"]) == ("grouped", 0)
    files = {row["file"]: row for row in result["files"]}
    assert sorted(files) == sorted(p.relative_to(textures).as_posix() for p in textures.rglob("*.*"))
    assert all(set(row) == {"file", "class", "group", "split"} for row in result["files"])
    assert all(row["class"] == file.split("/")[0] for file, row in files.items())
    assert {row["split"] for row in result["files"]} == {"train", "validation", "test"}


def test_split_keeps_a_copy_on_the_side_of_its_image(command, textures):
    for seed in range(5):
        files = json.loads(command("split", textures, "--seed", seed, "--json", "-")[1])["files"]
        one, copy = (next(row for row in files if row["file"] == f"normal/{name}") for name in ("0.png", "copy.jpg"))
        assert (one["group"], one["split"]) == (copy["group"], copy["split"])


def test_split_prints_the_same_twice(command, textures):
    assert command("split", textures, "--json", "-")[1] == command("split", textures, "--json", "-")[1]


def test_split_without_json_counts_each_side(command, textures):
    code, output, _ = command("split", textures, "--kind", "article")
    assert code == 0
    counts, sentences = output.split("\n\n")
    table = pd.read_csv(io.StringIO(counts), sep=r"\s+", skiprows=2, names=["class", "train", "validation", "test"])
    assert table[["train", "validation", "test"]].sum().tolist() == [20, 5, 5]
    assert "nothing tells the patient" in sentences


def test_split_of_an_unknown_kind_is_one_sentence(command, textures):
    code, output, errors = command("split", textures, "--kind", "fair")
    assert (code, output) == (1, "")
    assert errors.strip().splitlines()[-1].startswith("Error: split must be one of grouped, ")


def test_excluded_images_are_in_no_later_split_and_in_the_audit(command, textures):
    code, output, _ = command("exclude", textures, "--flag", "colour")
    assert (code, output.strip()) == (0, "1 images are flagged colour; 1 of 25 are now excluded.")
    files = [row["file"] for row in json.loads(command("split", textures, "--json", "-")[1])["files"]]
    assert len(files) == 24
    assert "virus/3.png" not in files
    assert json.loads(command("audit", textures, "--json", "-")[1])["excluded"] == ["virus/3.png"]


def test_undo_takes_excluded_images_in_again(command, textures):
    before = command("split", textures, "--json", "-")[1]
    command("exclude", textures, "--flag", "colour")
    assert command("split", textures, "--json", "-")[1] != before
    assert command("exclude", textures, "--flag", "colour", "--undo")[0] == 0
    assert command("split", textures, "--json", "-")[1] == before


def test_an_unknown_flag_is_one_sentence_and_decides_nothing(command, textures):
    code, output, errors = command("exclude", textures, "--flag", "ugly")
    assert (code, output) == (1, "")
    assert errors.strip().startswith("Error: --flag must be one of ")
    assert errors.strip().endswith("received 'ugly'.")
    assert "\n" not in errors.strip()


@pytest.fixture(scope="module")
def decided_run(demo_data, output_of, tmp_path_factory):
    """A run of one epoch without four images that a file of decisions leaves out, and those images."""
    folder = tmp_path_factory.mktemp("decided")
    out = scan_dataset(demo_data).table.iloc[[0, 1, 30, 60]]
    save_curation(exclude(Curation(), out, "by hand"), folder / "mine.json")
    settings = ("--set", "start=shipped", "--set", "batch_size=16", "--set", "epochs=1")
    output_of(
        "-m", "cxr_core", "train", demo_data, *settings, "--decisions", folder / "mine.json", "--run", folder / "run"
    )
    return Run(folder / "run"), out


def test_images_that_are_left_out_take_no_part_in_training(decided_run, demo_data):
    run, out = decided_run
    files = set(pd.read_csv(run.path / "split.csv")["file"])
    assert files == {p.relative_to(demo_data).as_posix() for p in demo_data.rglob("*.*")} - set(out["file"])


def test_a_run_keeps_what_was_decided_and_how_to_repeat_it(decided_run):
    run, _ = decided_run
    environment = read_json(run.path / "environment.json")
    assert environment["data"]["excluded"] == {"by hand": 4}
    command = environment["command"]
    assert command[command.index("--decisions") + 1] == str(run.path / "decisions.json")
    assert (run.path / "decisions.json").read_bytes() == (run.path.parent / "mine.json").read_bytes()


def test_train_refuses_decisions_that_are_not_there_before_a_run_folder_is_made(command, demo_data, tmp_path):
    arguments = ("--decisions", tmp_path / "gone.json", "--run", tmp_path / "run")
    code, output, errors = command("train", demo_data, *arguments)
    assert (code, output) == (1, "")
    assert errors.strip() == f"Error: There is no file {tmp_path / 'gone.json'}."
    assert not (tmp_path / "run").exists()


def test_broken_decisions_are_one_sentence_for_every_command_and_stay_as_they_are(command, textures):
    path = curation_path([textures])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")
    for words in (("audit",), ("split",), ("exclude", "--flag", "colour"), ("train", "--run", textures / "run")):
        code, output, errors = command(words[0], textures, *words[1:])
        assert (code, output) == (1, "")
        assert errors.strip().splitlines()[-1] == (
            f"Error: {path} holds no decisions about a data set; move it away to start anew."
        )
    assert path.read_text() == "{"


@pytest.mark.parametrize(
    "words", [[], ["dance"], ["audit"], ["predict"], ["predict", "a.png", "--sharpen"], ["train", "d", "--seed", "x"]]
)
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == WRONG_USAGE == 2
    assert "usage:" in capsys.readouterr().err


def test_help_says_what_this_is_not_for(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "not for diagnosis" in " ".join(capsys.readouterr().out.split())


def test_predict_gives_every_file_in_the_order_given_and_exits_with_1_for_a_bad_one(run_python, images, ungated_model):
    answer = run_python("-m", "cxr_core", "predict", *images, "--model", ungated_model, "--json", "-")
    assert answer.returncode == 1
    rows = json.loads(answer.stdout)
    assert [row["file"] for row in rows] == [str(p) for p in images]
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert rows[1]["error"].endswith(".")
    assert rows[1]["label"] is None


def test_predict_gives_probabilities_that_sum_to_one_and_the_highest_as_label(command, images, ungated_model):
    code, output, _ = command("predict", images[0], "--model", ungated_model, "--json", "-")
    (row,) = json.loads(output)
    assert code == 0
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)


def test_predict_says_what_the_classifier_says(command, images):
    _, output, _ = command("predict", images[2], "--json", "-")
    prediction = load_classifier(SHIPPED_MODEL_DIR).predict_image(images[2].read_bytes())
    expected = dict(zip(prediction.classes, map(float, prediction.probabilities), strict=True))
    assert json.loads(output)[0]["probabilities"] == expected


def test_predict_prints_one_line_per_file_and_the_notice_beside(command, images):
    code, output, errors = command("predict", *images)
    assert code == 1
    assert [line.split(": ")[0] for line in output.splitlines()] == [str(p) for p in images]
    assert NOTICE in errors


def test_a_file_name_with_control_characters_moves_no_cursor(command, images, tmp_path):
    shutil.copy(images[0], tmp_path / "a\x1b[2Jb\u202egnp.png")
    _, output, _ = command("predict", tmp_path / "a\x1b[2Jb\u202egnp.png")
    assert output.startswith(str(tmp_path / "a\ufffd[2Jb\ufffdgnp.png"))


def test_predict_names_a_missing_file_and_a_folder(command, tmp_path):
    code, output, _ = command("predict", tmp_path / "gone.png", tmp_path, "--json", "-")
    assert code == 1
    assert [row["status"] for row in json.loads(output)] == ["error", "error"]


def test_predict_writes_one_overlay_per_readable_file_of_its_size(command, images, tmp_path):
    command("predict", *images, "--cam-dir", tmp_path / "cams")
    overlays = sorted((tmp_path / "cams").iterdir())
    assert [p.name for p in overlays] == ["0001-first.png", "0003-third.png"]
    for overlay, image in zip(overlays, images[::2], strict=True):
        assert cv2.imread(str(overlay)).shape == cv2.imread(str(image)).shape


def test_predict_outlines_the_lungs_of_each_readable_file_at_its_size(command, images, tmp_path):
    command("predict", *images, "--lungs-dir", tmp_path / "lungs")
    outlined = sorted((tmp_path / "lungs").iterdir())
    assert [p.name for p in outlined] == ["0001-first.png", "0003-third.png"]
    for drawn, image in zip(map(cv2.imread, map(str, outlined)), map(cv2.imread, map(str, images[::2])), strict=True):
        assert drawn.shape == image.shape
        changed = (drawn != image).any(axis=2)
        assert 0 < changed.mean() < 0.2


def test_overlays_of_files_with_one_name_do_not_overwrite_each_other(command, images, tmp_path):
    shutil.copy(images[2], tmp_path / "first.png")
    command("predict", images[0], tmp_path / "first.png", "--cam-dir", tmp_path / "cams")
    assert len(list((tmp_path / "cams").iterdir())) == 2


def test_predict_without_a_model_is_one_sentence_and_exit_code_1(command, images, tmp_path):
    code, output, errors = command("predict", images[0], "--model", tmp_path)
    assert (code, output) == (1, "")
    assert str(tmp_path) in errors


def test_a_broken_model_file_is_one_sentence_and_exit_code_1(command, images, tmp_path):
    shutil.copy(SHIPPED_MODEL_DIR / "card.json", tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    code, _, errors = command("predict", images[0], "--model", tmp_path)
    assert code == 1
    assert errors.strip().splitlines()[-1].startswith("Error: ")


def test_a_card_of_another_version_is_one_sentence_and_exit_code_1(command, images, tmp_path):
    (tmp_path / "card.json").write_text('{"name": "x"}')
    code, _, errors = command("predict", images[0], "--model", tmp_path)
    assert code == 1
    assert "card.json" in errors


def test_evaluate_scores_as_scikit_learn_does(command, demo_data, tmp_path):
    from sklearn.metrics import accuracy_score

    for path in demo_data.rglob("drawing-00[0-4].*"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.parent.name)
    code, output, _ = command("evaluate", SHIPPED_MODEL_DIR, tmp_path, "--json", "-")
    assert code == 0
    result = json.loads(output)
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    files = sorted(tmp_path.rglob("*.*"))
    labels = [classifier.predict_image(p.read_bytes()).label for p in files]
    assert result["accuracy"] == accuracy_score([p.parent.name for p in files], labels)
    assert np.sum(result["confusion_matrix"]) == result["n"] == len(files) == 15


def test_evaluate_refuses_a_class_that_the_classifier_does_not_know(command, demo_data, tmp_path):
    shutil.copytree(demo_data / "normal", tmp_path / "asthma")
    code, _, errors = command("evaluate", SHIPPED_MODEL_DIR, tmp_path)
    assert code == 1
    assert "asthma" in errors


def test_demo_prints_the_folder_of_the_teaching_set_and_copies_it_where_asked(command, tmp_path):
    assert command("demo")[:2] == (0, f"{TEACHING_DIR}\n")
    assert command("demo", "--folder", tmp_path / "x")[:2] == (0, f"{tmp_path / 'x'}\n")
    check_teaching_set(tmp_path / "x")


def test_train_refuses_a_wrong_setting_before_a_run_folder_is_made(command, demo_data, tmp_path):
    code, output, errors = command("train", demo_data, "--set", "epoch=3", "--run", tmp_path / "run")
    assert (code, output) == (1, "")
    assert "Unknown setting epoch" in errors
    assert not (tmp_path / "run").exists()


def test_train_refuses_a_folder_that_holds_a_run(command, demo_data, tmp_path):
    create_run(make_config("quick"), tmp_path / "run")
    code, _, errors = command("train", demo_data, "--run", tmp_path / "run")
    assert code == 1
    assert "already holds a run" in errors


def test_stop_prints_the_state_of_an_ended_run(command, tmp_path):
    run = create_run(make_config("quick"), tmp_path / "run")
    run.write_status(type(run.status())("finished"))
    assert command("stop", tmp_path / "run")[:2] == (0, "finished\n")


def test_stop_of_what_is_no_run_exits_with_1(command, tmp_path):
    code, _, errors = command("stop", tmp_path / "nowhere")
    assert code == 1
    assert "nowhere" in errors


def test_publish_copies_a_classifier_without_this_machines_paths(command, tiny_run, tmp_path):
    code, output, _ = command("publish", tiny_run.path, tmp_path / "shipped")
    assert (code, output.strip()) == (0, str(tmp_path / "shipped"))
    assert {p.name for p in (tmp_path / "shipped").iterdir()} >= {"card.json", "model.onnx", "model.keras"}
    roots = tiny_run.config().roots
    for path in (tmp_path / "shipped").iterdir():
        assert not any(root.encode() in path.read_bytes() for root in (*roots, str(PROJECT), str(tiny_run.path)))


def test_a_published_classifier_predicts_as_the_run_does(command, tiny_run, tmp_path, images):
    command("publish", tiny_run.path, tmp_path / "shipped")
    one, two = (load_classifier(folder) for folder in (tiny_run.path, tmp_path / "shipped"))
    data = images[0].read_bytes()
    np.testing.assert_array_equal(one.predict_image(data).probabilities, two.predict_image(data).probabilities)


def test_what_an_earlier_published_classifier_had_beside_it_does_not_stay(command, tiny_run, tmp_path):
    for name in ("training_images.txt", "shortcuts.json", GATE_FILES[0], "ABOUT.md"):
        (tmp_path / name).write_text("# Earlier\n")
    assert command("publish", tiny_run.path, tmp_path)[0] == 0
    assert not (tmp_path / "shortcuts.json").exists() and not (tmp_path / GATE_FILES[0]).exists()
    assert "Earlier" not in (tmp_path / "training_images.txt").read_text()
    assert (tmp_path / "CARD.md").read_text().startswith("# Earlier\n")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("what", ["publish", "report", "evaluate"])
def test_a_disk_that_fills_up_at_any_file_leaves_what_there_was_and_one_sentence_without_a_name(
    command, tiny_run, few, tmp_path, monkeypatch, what
):
    run, target = Path(shutil.copytree(tiny_run.path, tmp_path / "run")), tmp_path / "target"
    words = {
        "publish": ("publish", run, target),
        "report": ("report", run, "--folder", target),
        "evaluate": ("evaluate", run, few, "--json", target / "result.json"),
    }[what]
    assert command(*words)[0] == 0
    for path in target.iterdir():
        path.write_text("earlier")
    before, named = contents(target), secrets.token_hex
    for room in range(100):
        left = iter(range(room))

        def name_a_file(length, left=left):
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, "No space left on device", "Zyxwv_Jane.png")
            return named(length)

        monkeypatch.setattr("cxr_core.system.files.secrets", SimpleNamespace(token_hex=name_a_file))
        code, _, errors = command(*words)
        if code == 0:
            break
        assert errors.strip().splitlines()[-1].startswith("Error: The disk is full")
        assert "Zyxwv" not in errors
        assert contents(target) == before and [path for path in target.iterdir() if path.is_dir()] == []
    assert room > 0 and contents(target).keys() == before.keys() and "earlier" not in contents(target).values()


def test_a_teaching_set_that_a_disk_has_no_room_for_is_one_sentence_and_leaves_no_half_file(
    command, tmp_path, monkeypatch
):
    def refuse(_source, target, **_):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", target)

    monkeypatch.setattr(shutil, "copyfile", refuse)
    code, _, errors = command("demo", "--folder", tmp_path / "set")
    assert (code, errors.strip().count("\n")) == (1, 0)
    assert errors.startswith("Error: The disk is full") and not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_publish_of_a_run_without_a_model_exits_with_1_and_ships_nothing(command, tmp_path):
    create_run(make_config("quick"), tmp_path / "run")
    code, _, errors = command("publish", tmp_path / "run", tmp_path / "shipped")
    assert code == 1
    assert errors.strip()
    assert not (tmp_path / "shipped" / "card.json").exists()


def test_a_run_folder_is_a_model_folder(tiny_run):
    assert Run(tiny_run.path).has_model
    assert set(load_classifier(tiny_run.path).classes) == {"normal", "covid", "virus"}
