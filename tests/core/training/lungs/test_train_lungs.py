"""train_lungs.py and lung_network.py, on drawings, with a network so small that it learns in a second."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
from conftest import Late

from benchmarks.full_disk import draw_chests
from cxr_core.imaging.lung_segmentation import CONVENTIONS, MASK_SIDE, NETWORK_SIDE, VIEWS
from cxr_core.training.lungs.lung_card import card_figures, lung_summary

keras, kl, tf = Late("keras"), Late("keras.layers"), Late("tensorflow")
network, lung_network = Late("cxr_core.training.network"), Late("cxr_core.training.lungs.lung_network")
train_lungs = Late("cxr_core.training.lungs.train_lungs")


@pytest.fixture(scope="module")
def chests(tmp_path_factory):
    """Forty drawings of two hospitals with the masks of their lungs; those of one hospital reach behind the heart."""
    folder = tmp_path_factory.mktemp("chests")
    draw_chests(folder)
    return folder


def tiny_network():
    """What is dark is lung, and the mean brightness tells the view."""
    grey = keras.Input((NETWORK_SIDE, NETWORK_SIDE, 1), name="image")
    dark = kl.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(-8.0), name="lungs")
    lungs = dark(kl.AveragePooling2D(2)(grey))
    views = kl.Dense(len(VIEWS), name="views")(kl.GlobalAveragePooling2D()(grey))
    return keras.Model(grey, {"lungs": lungs, "views": views})


@pytest.fixture(scope="module")
def trained(chests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lungs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_lungs, "build_lung_network", tiny_network)
        card = train_lungs.train_lungs([chests], folder, behind_heart=["north"], external=[chests], epochs=2, steps=3)
    return folder, card


def test_the_card_tells_what_was_learned_from_and_how_well(trained):
    folder, card = trained
    assert json.loads((folder / "card.json").read_text()) == card
    told = card["training"]
    assert told["images"] + card["limits"]["set_on"] == 40 and set(told["masks"]) == set(CONVENTIONS)
    assert sum(told["masks"].values()) == sum(told["sources"].values()) == told["images"]
    assert (told["epochs"], told["steps"], told["seed"]) == (2, 3, 0)
    for scores in (card["held_out"], card["external"][list(card["external"])[0]]):
        assert set(scores) <= set(CONVENTIONS)
        assert all(0 <= row["worst"] <= row["dice"] <= 1 and 0 <= row["found"] <= 1 for row in scores.values())
    assert card["external"][list(card["external"])[0]]["fields"]["images"] == 20
    assert "Dice" in lung_summary(card)
    assert (folder / "CARD.md").read_text(encoding="utf-8") == card_figures(card)


def test_the_graph_gives_probabilities_of_lung_and_logits_of_views(trained):
    session = onnxruntime.InferenceSession(str(trained[0] / "model.onnx"))
    image = np.random.default_rng(0).uniform(-1, 1, (2, NETWORK_SIDE, NETWORK_SIDE, 1)).astype(np.float32)
    lungs, views = session.run(["lungs", "views"], {"image": image})
    assert lungs.shape == (2, MASK_SIDE, MASK_SIDE, 2) and 0 <= lungs.min() <= lungs.max() <= 1
    assert views.shape == (2, len(VIEWS))


def test_two_external_sets_of_one_name_are_measured_as_two(chests, tmp_path, monkeypatch):
    monkeypatch.setattr(train_lungs, "build_lung_network", tiny_network)
    elsewhere = tmp_path / "elsewhere" / chests.name
    shutil.copytree(chests, elsewhere)
    card = train_lungs.train_lungs([chests], tmp_path / "lungs", external=[chests, elsewhere], epochs=1, steps=1)
    assert list(card["external"]) == [f"{folder.parent.name}/{folder.name}" for folder in (chests, elsewhere)]


def test_the_limits_let_all_but_a_two_hundredth_of_the_held_out_images_pass(trained, chests):
    folder, card = trained
    images = train_lungs.read_chest_images([chests], behind_heart=["north"])
    held_out = images.rows(~train_lungs._training_side(images, None, 0))
    _, views = train_lungs._answers(folder / "model.onnx", held_out)
    odds = train_lungs.whole_log_odds(views)
    assert card["limits"]["whole"] == pytest.approx(np.quantile(odds, 0.005))
    low, high = card["limits"]["aspect"]
    # These lungs are 0.71 of the width and 0.62 of the height of square images, as far as the dark tells.
    assert low < 0.71 / 0.62 < high


@pytest.mark.slow
def test_the_same_seed_trains_the_same_network(trained, chests, tmp_path, monkeypatch):
    monkeypatch.setattr(train_lungs, "build_lung_network", tiny_network)
    again = train_lungs.train_lungs([chests], tmp_path, behind_heart=["north"], external=[chests], epochs=2, steps=3)
    assert again["training"]["last_losses"] == trained[1]["training"]["last_losses"]
    other = train_lungs.train_lungs([chests], tmp_path, behind_heart=["north"], epochs=2, steps=3, seed=1)
    assert other["training"]["last_losses"] != again["training"]["last_losses"]


def test_images_that_a_classifier_was_not_trained_on_are_held_out(chests, tmp_path):
    images = train_lungs.read_chest_images([chests])
    digests = images.table["digest"].tolist()
    (tmp_path / "training_images.txt").write_text("\n".join(digests[:30]))
    side = train_lungs._training_side(images, tmp_path, 0)
    assert side.tolist() == [True] * 30 + [False] * 10


@pytest.mark.parametrize("known", [[], None])
def test_with_nothing_to_hold_out_or_to_learn_from_nothing_is_trained(chests, tmp_path, known):
    images = train_lungs.read_chest_images([chests])
    digests = images.table["digest"].tolist() if known is None else known
    (tmp_path / "training_images.txt").write_text("\n".join(digests))
    with pytest.raises(ValueError, match="images to train on, and others to set the limits on"):
        train_lungs._training_side(images, tmp_path, 0)


def test_a_network_that_finds_no_lungs_is_not_kept_without_a_word(chests, tmp_path, monkeypatch):
    def blind():
        model = tiny_network()
        model.get_layer("lungs").set_weights([np.zeros((1, 1, 1, 2)), np.full(2, -9.0)])
        return model

    monkeypatch.setattr(train_lungs, "build_lung_network", blind)
    with pytest.raises(ValueError, match="finds lungs in none of the images that were held out; train it for more"):
        train_lungs.train_lungs([chests], tmp_path, epochs=1, steps=1)


def test_the_mask_loss_is_cross_entropy_and_one_minus_dice_of_what_is_known():
    rng = np.random.default_rng(0)
    masks, logits = rng.integers(0, 2, (3, 8, 8, 2)).astype(np.float32), rng.normal(size=(3, 8, 8, 2))
    known = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    target = np.concatenate([masks, np.broadcast_to(known[:, None, None], masks.shape)], axis=-1)
    expected = []
    for image, convention in ((0, 0), (1, 1)):
        t, p = masks[image, ..., convention], 1 / (1 + np.exp(-logits[image, ..., convention]))
        crossed = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
        expected.append(crossed + 1 - (2 * (p * t).sum() + 20) / (p.sum() + t.sum() + 20))
    loss = lung_network.mask_loss(tf.constant(target), tf.constant(logits, tf.float32))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-4)
    # Of images without a mask nothing is learned, whatever the network says.
    assert float(lung_network.mask_loss(tf.constant(target[2:]), tf.constant(logits[2:], tf.float32))) == 0


def test_without_weights_the_sentence_says_which_file_goes_where(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(network.MissingWeights, match=r"put mobilenet_v2_weights.*_no_top.h5 there"):
        lung_network.build_lung_network()


@pytest.mark.slow
def test_the_network_is_small_and_keeps_the_statistics_of_its_encoder(monkeypatch, tmp_path):
    keras.applications.MobileNetV2(include_top=False, weights=None).save_weights(tmp_path / "any.weights.h5")
    monkeypatch.setattr(lung_network, "imagenet_weights_path", lambda: tmp_path / "any.weights.h5")
    model = lung_network.build_lung_network()
    assert model.count_params() < 750_000
    assert model.output["lungs"].shape == (None, MASK_SIDE, MASK_SIDE, 2)
    assert model.output["views"].shape == (None, len(VIEWS))
    frozen = [layer for layer in model.layers if isinstance(layer, kl.BatchNormalization) and not layer.trainable]
    assert len(frozen) == len(
        [layer for layer in frozen if layer.name.startswith(("bn_", "Conv", "block_", "expanded"))]
    )
    assert len(frozen) > 30
