"""How did the built-in classifier learn? Its recorded training, epoch by epoch, for visitors who cannot train."""

import streamlit as st

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.inference.model_card import load_card
from cxr_core.recipes.training_config import config_of_card
from cxr_core.runs.diagnosis import diagnose_training
from cxr_core.runs.overview import end_sentence, epoch_sentence
from cxr_core.runs.run import Run
from ui.common.components import duration, plain_error, show_history
from ui.common.markdown import plain_text
from ui.common.navigation import tell_of_disk

_SECONDS_PER_EPOCH = 1.5
_EPOCH = "replay_epoch"


def show_replay() -> None:
    """Show the recorded training of the built-in classifier, to be played again; nothing where there is no record."""
    epochs = Run(SHIPPED_MODEL_DIR).epochs()
    if epochs.empty:
        return
    try:
        card = load_card(SHIPPED_MODEL_DIR)
        config = config_of_card(card.training)
    except (FileNotFoundError, ValueError) as error:
        st.warning(plain_error(error))
        return
    st.header("How the built-in classifier learned", help="The record of its training, not a new one.")
    images = {side: sum(counts.values()) for side, counts in card.training["data"]["images"].items()}
    st.markdown(
        f"{config.epochs:d} epochs on {images['train']:,d} images with the recipe {plain_text(config.recipe)}, in "
        f"{duration(epochs['epoch_seconds'].sum())} on a processor; {images['validation']:,d} others validated."
    )
    playing = st.session_state.get("replaying", False)

    @st.fragment(run_every=_SECONDS_PER_EPOCH if playing else None)
    @tell_of_disk()
    def view() -> None:
        last = len(epochs)
        shown = st.session_state.get(_EPOCH, last)
        if st.session_state.get("replaying"):
            shown = st.session_state[_EPOCH] = min(last, shown + 1)
            if shown == last:
                st.session_state["replaying"] = False
                st.rerun()
        st.session_state[_EPOCH] = shown
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button(
                "Play", icon=":material/replay:", on_click=_begin, disabled=playing,
                help="Shows the epochs one after the other.",
            )  # fmt: skip
            st.slider("Epochs", 1, last, key=_EPOCH, disabled=playing, help="How far the record is shown.")
        so_far = epochs.iloc[:shown]
        show_history(so_far)
        st.markdown(plain_text(epoch_sentence(so_far)))
        if shown == last:
            findings = diagnose_training(epochs, config)
            for sentence in [end_sentence(epochs, config), *(finding.sentence for finding in findings)]:
                st.markdown(plain_text(sentence))

    view()


def _begin() -> None:
    """Begin with the first epoch; the fragment goes on from there."""
    st.session_state[_EPOCH] = 1
    st.session_state["replaying"] = True
