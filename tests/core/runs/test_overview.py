"""Which epoch of a run is kept, how it ended, and how long it still takes."""

import pandas as pd
import pytest

from cxr_core.recipes.training_config import make_config
from cxr_core.runs.overview import end_sentence, kept_accuracy, kept_epoch, seconds_left
from cxr_core.runs.run import RunStatus


def history(val_loss, val_accuracy=None, seconds=10.0):
    n = len(val_loss)
    return pd.DataFrame(
        {"epoch": range(1, n + 1), "val_loss": val_loss, "val_accuracy": val_accuracy or [0.5] * n}
        | {"epoch_seconds": [seconds] * n}
    )


def config(*settings):
    return make_config("quick", roots=("/data",), settings=settings)


def test_the_first_epoch_with_the_lowest_validation_loss_is_kept_whatever_the_accuracy():
    epochs = history([0.9, 0.4, 0.4, 0.6], [0.5, 0.8, 0.9, 0.95])
    assert kept_epoch(epochs) == 2
    assert kept_accuracy(epochs) == 0.8


@pytest.mark.parametrize("epochs", [pd.DataFrame(), history([float("nan")] * 2)])
def test_no_epoch_is_kept_where_none_has_a_loss(epochs):
    assert kept_epoch(epochs) is None
    assert kept_accuracy(epochs) is None


def test_a_run_that_stopped_early_says_when_why_and_what_was_kept():
    epochs = history([1 - 0.1 * i for i in range(9)] + [0.5] * 8)
    assert end_sentence(epochs, config("early_stopping_patience=8")) == (
        "Finished: stopped early after epoch 17 (no better for 8 epochs); epoch 9 was kept."
    )


def test_a_run_that_trained_all_epochs_does_not_say_that_it_stopped_early():
    assert end_sentence(history([0.9, 0.5, 0.6]), config("epochs=3")) == (
        "Finished: all 3 epochs were trained; epoch 2 was kept, with the lowest validation loss."
    )


# Time left


def running(epoch, batch, since, *, epochs=4):
    return RunStatus(
        "running", epoch=epoch, epochs=epochs, batch=batch, batches=10, epoch_started=1000.0, updated=1000.0 + since
    )


def test_the_time_left_counts_the_epochs_and_the_export_to_come():
    export = seconds_left(running(4, 0, 10.0), history([1] * 4), now=1010.0)
    assert export > 0
    left = seconds_left(running(1, 5, 5.0), history([1]), now=1005.0)
    assert left == pytest.approx(3 * 10 - 5 + export)


def test_more_images_to_evaluate_take_longer():
    some, more = (seconds_left(running(1, 5, 5.0), history([1]), now=1005.0, images=n) for n in (10, 1_000))
    assert more > some


def test_the_time_left_does_not_jump_when_an_epoch_ends():
    end = seconds_left(running(1, 10, 10.0), history([1]), now=1010.0)
    between = seconds_left(running(2, 0, 10.0), history([1, 1]), now=1010.0)
    begin = seconds_left(running(2, 1, 1.0), history([1, 1]), now=1001.0)
    assert between == pytest.approx(end)
    assert begin == pytest.approx(end - 1)


def test_one_slow_epoch_hardly_changes_the_time_left():
    usual = history([1] * 4)
    slow = usual.assign(epoch_seconds=[10, 10, 100, 10])
    status = running(4, 5, 5.0, epochs=9)
    assert seconds_left(status, slow, now=1005.0) == seconds_left(status, usual, now=1005.0)


def test_in_the_first_epoch_the_pace_of_its_batches_counts():
    export = seconds_left(running(4, 0, 10.0), history([1] * 4), now=1010.0)
    left = seconds_left(running(0, 5, 20.0), pd.DataFrame(), now=1020.0)
    assert left == pytest.approx(4 * 40 - 20 + export)


def test_there_is_no_time_left_to_tell_before_the_first_batch():
    assert seconds_left(running(0, 0, 0.0), pd.DataFrame(), now=1000.0) is None
