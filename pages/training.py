"""How is a classifier trained, monitored, paused, stopped, resumed and compared with earlier runs?"""

import streamlit as st

from cxr_core.data.sources import source_names
from cxr_core.jobs.job import Job, list_jobs
from cxr_core.jobs.training_queue import queue_run
from cxr_core.runs.lifecycle import resume_run
from cxr_core.runs.run import Run
from ui.common.components import page_header
from ui.common.curation import dataset_curation, left_out_note
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.model_picker import own_run_names, visible_runs
from ui.common.permissions import is_open_to_strangers, may
from ui.training.form import ask_training, cloned_config
from ui.training.job_view import choose_view, show_jobs
from ui.training.places import choose_place
from ui.training.queue_view import show_queue
from ui.training.reproduction_view import show_reproduction
from ui.training.run_comparison import show_runs
from ui.training.run_monitor import choose_run, monitor_run
from ui.training.start import offer_another_seed, offer_start
from ui.training.visitor import show_own_actions, show_visitors_place

page_header("Training", "Training keeps running when you change pages or close the browser.")
dataset = choose_dataset()
curation = dataset_curation(dataset)
runs, jobs = visible_runs(), list_jobs()
everything: list[Run | Job] = [*jobs, *runs]
active = next((one for one in everything if one.status().is_active), None)

shared, cloned = is_open_to_strangers(), cloned_config(runs)
place = choose_place(runs, jobs)
if place == "New" and not may("training"):
    show_visitors_place(dataset, curation)
elif place == "New":
    config = ask_training(dataset, cloned)
    left_out_note(curation)
    offer_start(config, curation, active, source_names(dataset.table))
elif place == "Article":
    show_reproduction(dataset, curation, runs, active)
elif not everything:
    st.info("No runs yet. Start one under New; its curves will appear here.")
elif place == "Compare":
    if runs:
        show_runs(runs)
else:
    if shared:
        show_queue(runs)
    if choose_view(jobs, active) == "Jobs":
        show_jobs(jobs, others_active=active is not None)
    elif not runs:
        st.info("No runs yet. The curves of the first one will appear here.")
    else:
        run = choose_run(runs)
        if run.name in own_run_names():
            monitor_run(run, actions=show_own_actions)
        elif shared:
            monitor_run(run, resume=queue_run)
        else:
            if active is None:
                offer_another_seed(run, dataset, curation)
            monitor_run(run, others_active=active is not None and active != run, resume=resume_run)
credit_images(dataset)
