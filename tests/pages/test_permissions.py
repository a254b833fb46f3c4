"""What visitors of a shared installation may do, and what its owners."""

import cv2
import pandas as pd
import pytest
from conftest import draw_texture
from streamlit.testing.v1 import AppTest

from cxr_core.config import PROJECT_DIR, SHIPPED_MODEL_DIR
from cxr_core.recipes.training_config import make_config
from cxr_core.robustness.shortcut_verdict import load_shortcut_result
from cxr_core.runs.labels import load_label
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import RunStatus
from cxr_core.splits.curation import curation_path
from cxr_core.system.files import atomic_path
from pages.test_pages import TIMEOUT_SECONDS, open_page, said
from ui.common.permissions import ACTIONS, read_access

OWNER = "Ada@Example.org"
LISTS = {
    "visitors": ["@uni.example", "bob@example.org", "kim@uni2.example", "@klinik.example", "j\xf6rg@praxis.example"],
    "owners": [OWNER],
}
SIGN_IN = {"auth": {"redirect_uri": "http://localhost/oauth2callback"}, "access": LISTS}


MARKDOWN_IMAGE = "![a](b"
HOSTILE_NAME = f"<b>x{MARKDOWN_IMAGE})$y$:material_home:\x1b[31m\u202e.png"


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory):
    """Textures in two classes, one of them twice under names that would be markup."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(("normal", "virus")):
        (folder / name).mkdir()
        for i in range(8):
            cv2.imwrite(str(folder / name / f"{i}.png"), draw_texture(20 * number + i))
    for name in (HOSTILE_NAME, "copy.png"):
        cv2.imwrite(str(folder / "normal" / name), draw_texture(77))
    return folder


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")


@pytest.fixture
def stopped_run(tmp_path, monkeypatch):
    """A run that could be resumed, in a folder of runs that the pages look into."""
    monkeypatch.setattr("cxr_core.runs.run.list_runs.__defaults__", (tmp_path,))
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "20260101-a")
    run.write_status(RunStatus("stopped", epoch=1, epochs=9))
    columns = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds")
    with atomic_path(run.path / "epochs.csv") as path:
        pd.DataFrame({name: [1] for name in (*columns, "images_per_second")}).to_csv(path, index=False)
    return run


def labels(elements):
    return [element.label for element in elements]


def signed_in(monkeypatch, email, **claims):
    user = {"is_logged_in": email is not None, "email": email, "email_verified": True} | claims
    monkeypatch.setattr("streamlit.user_info.UserInfoProxy.to_dict", lambda _: user)
    monkeypatch.setattr("streamlit.user_info.UserInfoProxy.__getattr__", lambda _, name: user[name])


def open_with_secrets(secrets):
    app = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=TIMEOUT_SECONDS)
    for name, value in secrets.items():
        app.secrets[name] = value
    return app.run()


def test_alone_everything_is_allowed():
    access = read_access({}, {}, shared=False)
    assert all(access.allows(action) for action in ACTIONS)
    assert access.lets_in(None)


def test_a_visitor_of_a_shared_installation_is_let_in_and_allowed_nothing():
    access = read_access({}, {}, shared=True)
    assert not any(access.allows(action) for action in ACTIONS)
    assert access.lets_in(None)


def test_an_owner_can_allow_visitors_single_things():
    access = read_access({}, {"CXR_LAB_ALLOW": "training, keeping"}, shared=True)
    assert [action for action in ACTIONS if access.allows(action)] == ["training", "keeping"]


@pytest.mark.parametrize(
    ("email", "let_in"),
    [
        ("bob@example.org", True), ("BOB@example.org", True), ("eve@uni.example", True), ("ada@example.org", True),
        ("eve@example.org", False), ("eve@sub.uni.example", False), ("eve@uni.example.evil", False),
        ("bob@example.org@evil.example", False), ("uni.example", False), ("", False), (None, False),
        # The small letter of the Kelvin sign is k.
        ("\N{KELVIN SIGN}im@uni2.example", False), ("kim@uni2.example", True), ("KIM@UNI2.EXAMPLE", True),
        ("eve@\N{KELVIN SIGN}linik.example", False), ("eve@KLINIK.example", True),
        ("j\xf6rg@praxis.example", True), ("J\xd6RG@praxis.example", False), ("J\xf6rg@praxis.example", False),
    ],
)  # fmt: skip
def test_a_sign_in_lets_in_who_is_named(email, let_in):
    assert read_access(SIGN_IN, {}, shared=False).lets_in(email) is let_in


def test_with_a_sign_in_owners_alone_are_allowed_everything():
    access = read_access(SIGN_IN, {}, shared=False)
    assert all(access.allows(action, "ada@EXAMPLE.org") for action in ACTIONS)
    assert not any(access.allows(action, "bob@example.org") for action in ACTIONS)


def test_a_letter_that_only_becomes_one_of_an_owners_makes_nobody_an_owner():
    lists = {"auth": {}, "access": {"owners": ["kim@example.org"]}}
    access = read_access(lists, {}, shared=False)
    assert access.is_owner("KIM@example.org")
    assert not access.is_owner("\N{KELVIN SIGN}im@example.org")
    assert not access.allows("deletion", "\N{KELVIN SIGN}im@example.org")


@pytest.mark.parametrize(
    ("secrets", "sentence"),
    [
        ({"auth": "secret"}, r"\[auth\] in secrets.toml must be a section; received str"),
        ({"auth": {}, "access": ["eve@example.org"]}, r"\[access\] in secrets.toml must be a section; received list"),
        ({"auth": {}, "access": "eve@example.org"}, r"\[access\] in secrets.toml must be a section; received str"),
        ({"access": []}, r"\[access\] in secrets.toml must be a section; received list"),
        ({"access": {}}, r"without \[auth\]"),
        ({"auth": {}, "access": {"visitors": "@"}}, "visitors in secrets.toml must be a list"),
        ({"auth": {}, "access": {"owners": "eve@example.org"}}, "owners in secrets.toml must be a list"),
        ({"auth": {}, "access": {"owners": {"eve@example.org": True}}}, "owners in secrets.toml must be a list"),
        ({"auth": {}, "access": {"visitors": True}}, "visitors in secrets.toml must be a list"),
        ({"auth": {}, "access": {"visitors": ["bob@example.org", 7]}}, "Entry 2 of visitors"),
        ({"auth": {}, "access": {"visitors": ["@"]}}, "Entry 1 of visitors"),
        ({"auth": {}, "access": {"visitors": ["example.org"]}}, "Entry 1 of visitors"),
        ({"auth": {}, "access": {"visitors": [["@example.org"]]}}, "Entry 1 of visitors"),
        ({"auth": {}, "access": LISTS | {"owner": ["eve@example.org"]}}, "may hold visitors and owners"),
    ],
)
def test_a_setting_of_the_wrong_kind_closes_the_app_with_one_sentence_that_quotes_no_address(secrets, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        read_access(secrets, {}, shared=False)
    assert "example" not in str(refused.value)
    app = open_with_secrets(secrets)
    assert not app.exception
    assert said(app.error).startswith("This installation is closed: ")
    assert not app.button
    assert not app.header


@pytest.mark.parametrize(
    ("secrets", "environment", "sentence"),
    [
        ({"auth": {}}, {}, "must say who may sign in"),
        ({"auth": {}, "access": {"visitors": []}}, {}, "must say who may sign in"),
        ({"access": LISTS}, {}, "without \\[auth\\]"),
        ({"auth": {}, "access": {"owners": ["@example.org"]}}, {}, "complete e-mail address"),
        ({}, {"CXR_LAB_ALLOW": "everything"}, "must name some of .*; received everything"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(secrets, environment, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_access(secrets, environment, shared=True)


def test_settings_that_cannot_be_understood_close_the_app(monkeypatch):
    monkeypatch.setenv("CXR_LAB_ALLOW", "everything")
    app = open_page("overview")
    assert not app.exception
    assert said(app.error).startswith("This installation is closed: ")
    assert not app.header


def test_secrets_that_cannot_be_read_close_the_app(tmp_path, monkeypatch):
    (tmp_path / "secrets.toml").write_text("[auth")
    monkeypatch.setattr("ui.common.permissions.st.get_option", lambda name: [str(tmp_path / "secrets.toml")])
    app = open_page("overview")
    assert "secrets.toml cannot be read" in said(app.error)
    assert not app.header


@pytest.mark.parametrize("failure", [PermissionError("no"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")])
def test_secrets_that_cannot_be_opened_close_the_app(tmp_path, monkeypatch, failure):
    def fail(_):
        raise failure

    (tmp_path / "secrets.toml").write_text("[auth]")
    monkeypatch.setattr("ui.common.permissions.st.get_option", lambda name: [str(tmp_path / "secrets.toml")])
    monkeypatch.setattr("streamlit.runtime.secrets.Secrets.to_dict", fail)
    app = open_page("overview")
    assert not app.exception
    assert "secrets.toml cannot be read" in said(app.error)
    assert not app.header


def test_a_page_that_runs_alone_asks_for_the_sign_in_too(monkeypatch):
    signed_in(monkeypatch, OWNER)
    app = open_with_secrets(SIGN_IN)
    signed_in(monkeypatch, None)
    app.switch_page("pages/dataset.py").run()
    assert not app.exception
    assert labels(app.button) == ["Sign in"]
    assert not app.metric


def test_unnamed_nobody_gets_past_the_sign_in(monkeypatch):
    signed_in(monkeypatch, None)
    app = open_with_secrets(SIGN_IN)
    assert not app.exception
    assert labels(app.button) == ["Sign in"]
    assert not app.header


@pytest.mark.parametrize(
    ("email", "claims"),
    [
        ("eve@example.org", {}),
        (None, {}),
        *((OWNER, {"email_verified": claim}) for claim in (False, None, "false", "true", 1, [True])),
        ([OWNER], {}),
        ("\N{KELVIN SIGN}im@uni2.example", {}),
    ],
)
def test_who_is_not_on_the_list_or_not_confirmed_gets_a_sentence(monkeypatch, email, claims):
    signed_in(monkeypatch, email, **claims | {"is_logged_in": True})
    app = open_with_secrets(SIGN_IN)
    assert not app.exception
    assert "not on the list" in said(app.error)
    assert labels(app.button) == ["Sign out"]
    assert not app.header


def test_an_address_about_which_the_provider_says_nothing_is_not_confirmed(monkeypatch):
    user = {"is_logged_in": True, "email": OWNER}
    monkeypatch.setattr("streamlit.user_info.UserInfoProxy.to_dict", lambda _: user)
    monkeypatch.setattr("streamlit.user_info.UserInfoProxy.__getattr__", lambda _, name: user[name])
    app = open_with_secrets(SIGN_IN)
    assert "without a confirmed e-mail address is not on the list" in said(app.error)
    assert labels(app.button) == ["Sign out"]


@pytest.mark.parametrize(("email", "is_owner"), [("bob@example.org", False), (OWNER, True)])
def test_who_is_signed_in_is_named_and_may_do_what_they_may(monkeypatch, stopped_run, email, is_owner):
    signed_in(monkeypatch, email)
    app = open_with_secrets(SIGN_IN)
    assert ("(owner)" in said(app.sidebar.caption)) == is_owner
    assert "Sign out" in labels(app.sidebar.button)
    app.switch_page("pages/training.py").run()
    assert not app.exception
    assert ("Resume" in labels(app.button)) == is_owner
    app.segmented_control(key="show_choice").select("New").run()
    assert ("Queue this training" in labels(app.button)) == is_owner


def test_visitors_cannot_train_and_are_told_why(shared, stopped_run):
    for place in ("New", "Watch", "Article"):
        app = open_page("training", show_kept=place)
        assert not app.exception
        assert "Visitors cannot start training or other long computations here." in said(app.caption)
        assert {"Start training", "Queue this training", "Resume", "Reproduce the article"}.isdisjoint(
            labels(app.button)
        )


def test_visitors_whom_the_owner_allows_it_can_train_and_not_delete(shared, stopped_run, monkeypatch):
    monkeypatch.setenv("CXR_LAB_ALLOW", "training")
    for place, offered in (("New", "Queue this training"), ("Watch", "Resume")):
        app = open_page("training", show_kept=place)
        assert not app.exception
        assert offered in labels(app.button)
    app = open_page("training", show_kept="Compare", runs_editor={"edited_rows": {0: {"compare": True}}})
    assert not app.exception
    assert "Visitors cannot delete runs here." in said(app.caption)
    assert "Delete permanently" not in labels(app.button)


def test_what_a_browser_sends_into_a_locked_table_is_not_kept(shared, stopped_run):
    app = open_page("training", show_kept="Compare", runs_editor={"edited_rows": {0: {"name": "mine", "star": True}}})
    assert not app.exception
    assert load_label(stopped_run).name == ""


def test_visitors_are_offered_no_folders_and_cannot_ask_for_them_either(shared, demo_data):
    app = open_page("preprocessing", source_choice="folder", folders_choice=str(demo_data))
    assert "A folder or CSV on this computer" not in app.selectbox(key="source_choice").options
    assert str(demo_data) not in app.session_state["dataset"].roots


def test_visitors_can_neither_name_external_folders_nor_run_the_shortcut_test(shared):
    app = open_page("shortcuts")
    assert not app.exception
    assert not app.text_area
    assert "Run the shortcut test" not in labels(app.button)


def test_how_the_label_table_of_a_shared_data_set_is_read_is_not_for_visitors_to_change(shared, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for i in range(8):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), draw_texture(i))
    rows = "".join(f"{i}.png,{i % 2}\n" for i in range(8))
    (tmp_path / "rows.csv").write_text(f"Picture,Coded\n{rows}")
    app = open_page("dataset", source_choice="zip", unpacked=tmp_path)
    assert not app.exception
    assert "Visitors cannot change what is saved for everyone here." in said(app.caption)
    assert "Read the table" not in labels(app.button)
    monkeypatch.setattr("ui.data.label_tables.visit_folder_of", lambda _: tmp_path)
    assert "Read the table" in labels(open_page("dataset", source_choice="zip", unpacked=tmp_path).button)


def test_what_visitors_decide_about_images_is_theirs_alone(shared, hostile_data):
    app = open_page("duplicates", source_choice="zip", unpacked=hostile_data)
    next(b for b in app.button if b.label == "Keep the sharpest").click().run()
    assert not app.exception
    assert "1 of 2 images excluded." in said(app.success)
    assert not curation_path(app.session_state["dataset"].roots).exists()


def test_a_file_name_with_markup_and_control_characters_is_shown_letter_by_letter(shared, hostile_data):
    app = open_page("duplicates", source_choice="zip", unpacked=hostile_data)
    next(b for b in app.button if b.label == "Exclude").click().run()
    assert not app.exception
    assert MARKDOWN_IMAGE not in app.success[0].value
    assert HOSTILE_NAME.replace("\x1b", "\ufffd").replace("\u202e", "\ufffd") in said(app.success)


def test_visitors_cannot_change_a_models_card(shared):
    app = open_page("evaluation")
    for view in ("Confidence", "Threshold"):
        next(s for s in app.segmented_control if s.label == "View").select(view).run()
        assert not app.exception
        assert "Visitors cannot change what is saved for everyone here." in said(app.caption)
        assert not [label for label in labels(app.button) if label.startswith("Save")]


@pytest.mark.parametrize(("allowed", "kept"), [("training", False), ("training,keeping", True)])
def test_a_visitors_shortcut_test_is_kept_with_the_run_only_where_they_may_keep_things(
    shared, monkeypatch, allowed, kept
):
    monkeypatch.setenv("CXR_LAB_ALLOW", allowed)
    result, written = load_shortcut_result(SHIPPED_MODEL_DIR), []
    monkeypatch.setattr("ui.shortcuts.shortcut_test.run_shortcut_test", lambda *_, **__: result)
    monkeypatch.setattr("ui.shortcuts.shortcut_test.keep_shortcut_result", lambda folder, _: written.append(folder))
    app = open_page("shortcuts")
    app.segmented_control[0].set_value("Your own images").run()
    next(b for b in app.button if b.label == "Run the shortcut test").click().run()
    assert not app.exception
    assert [m.label for m in app.metric][-1] == "Lungs found"
    assert written == ([SHIPPED_MODEL_DIR] if kept else [])
