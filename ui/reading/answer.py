"""How is one image read: without its label, with a class and a confidence?"""

import streamlit as st

from ui.common.markdown import plain_label, plain_text
from ui.common.thumbnails import LARGE_PIXELS, image_thumbnail
from ui.reading.study import Study

_LEAST, _MOST = 50, 100


def ask_answer(study: Study, reader: str) -> None:
    """Show the next image of a reader and take the answer; two readers hand over in between."""
    answers = study.answers.setdefault(reader, [])
    if len(study.readers) > 1 and reader not in study.handed_over:
        st.info(f"{plain_text(reader)} reads {len(study.cases)} images. The answers of the other stay hidden.")
        if st.button("I am ready", type="primary", help="Shows the first image."):
            study.handed_over.add(reader)
            st.rerun()
        return
    number = len(answers)
    case = study.cases.iloc[number]
    st.progress(number / len(study.cases), f"{plain_text(reader)}: image {number + 1} of {len(study.cases)}")
    left, right = st.columns(2)
    with left:
        image = image_thumbnail(case["path"], case["mtime_ns"], LARGE_PIXELS)
        if image is None:
            st.warning("This file is missing or broken; answer anything, or begin anew.")
        else:
            st.image(image, alt=f"Radiograph {number + 1}, its class is hidden", width="stretch")
    with right:
        sure = st.slider(
            "How sure are you?", _LEAST, _MOST, 75, 5, format="%d %%", key=f"sure_{reader}_{number}",
            help="50 % is a guess, 100 % is certain.",
        )  # fmt: skip
        st.markdown("What does it show? One click or key answers, and shows the next image.")
        with st.container(horizontal=True):
            for i, name in enumerate(study.class_names):
                key = f"answer_{reader}_{number}_{name}"
                # More classes than digits are answered with the mouse.
                shortcut = str(i + 1) if i < 9 else None
                if st.button(plain_label(name), key=key, shortcut=shortcut, help="Your answer."):
                    answers.append((name, sure / 100))
                    st.rerun()
        if number and st.button("One back", icon=":material/undo:", help="Takes your last answer back."):
            answers.pop()
            st.rerun()
