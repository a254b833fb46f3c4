"""Nothing of a visitor's data set is left once the visit, and whatever uses the data, has ended."""

import errno

import cv2
import numpy as np
import pytest
from conftest import draw_texture, silent

from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.file_index import index_folder
from cxr_core.data.prepared_images import prepare_images
from cxr_core.data.property_table import measure_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits.curation import Curation, curation_path
from cxr_core.splits.groups import group_images
from cxr_core.system import visit_folders
from cxr_core.system.visit_folders import Visit, VisitFolder, remove_abandoned, visit_folder_of


@pytest.fixture
def visits(tmp_path, monkeypatch):
    """The folder of all visits' data sets."""
    for function in (visit_folder_of, remove_abandoned, VisitFolder.__init__):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "visits",))
    return tmp_path / "visits"


def files_below(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


def unpack_into(folder):
    for name in ("normal", "covid"):
        (folder.path / "set" / name).mkdir(parents=True)
        for i in range(3):
            cv2.imwrite(str(folder.path / "set" / name / f"Jane Doe {i}.png"), draw_texture(i + 10 * len(name)))
    return folder.path / "set"


def test_a_folder_is_there_until_it_is_closed(visits):
    folder = VisitFolder()
    unpack_into(folder)
    remove_abandoned()
    assert folder.path.parent == visits and len(files_below(folder.path)) == 7
    folder.close()
    assert list(visits.iterdir()) == []


def test_nothing_is_left_of_a_folder_that_a_full_disk_has_no_room_for(visits, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError):
        VisitFolder()
    assert list(visits.iterdir()) == []


def test_index_and_caches_of_a_visits_data_set_lie_in_its_folder_and_go_with_it(visits, tmp_path):
    home, folder = tmp_path / "home", VisitFolder()
    dataset = scan_dataset(unpack_into(folder), index_dir=home)
    prepared = prepare_images(dataset.table, Preprocessing(), cache_dir=home)
    measure_images(dataset.table, cache_dir=home)
    dataset_embeddings(dataset.table, phase=silent, cache_dir=home)
    group_images(dataset.table, Curation(), phase=silent)
    assert prepared.images_u8.any()
    assert files_below(tmp_path) == files_below(folder.path)
    kinds = {path.parent.name for path in files_below(folder.path / "cache")}
    assert kinds == {"prepared", "measures", "features", "duplicates"}
    assert curation_path(dataset.roots, home).is_relative_to(folder.path)
    folder.close()
    assert files_below(tmp_path) == set()


def test_other_data_sets_are_indexed_where_they_were(visits, tmp_path):
    assert index_folder([tmp_path / "visits-of-mine"], tmp_path / "home").parent == tmp_path / "home"


def test_a_new_data_set_takes_the_place_of_the_one_before(visits):
    visit, first, second = Visit(), VisitFolder(), VisitFolder()
    visit.take(first)
    visit.take(second)
    assert [path.name for path in visits.iterdir()] == [second.path.name]
    visit.end()
    assert list(visits.iterdir()) == []


def test_a_data_set_that_was_unpacked_while_its_visit_ended_goes_at_once(visits):
    visit, folder = Visit(), VisitFolder()
    visit.end()
    visit.take(folder)
    assert list(visits.iterdir()) == []


def test_what_a_killed_server_left_goes_and_what_a_running_one_uses_stays(visits, run_python):
    script = f"""
import os
from cxr_core.system.visit_folders import VisitFolder
folder = VisitFolder({str(visits)!r})
(folder.path / "scan.png").write_bytes(b"x")
os._exit(9)
"""
    used = VisitFolder()
    assert run_python("-c", script).returncode == 9
    assert len(list(visits.iterdir())) == 2
    VisitFolder().close()
    assert list(visits.iterdir()) == [used.path]
    used.close()


def test_a_training_keeps_its_images_until_it_has_ended(visits, run_python):
    folder = VisitFolder()
    root = unpack_into(folder)
    visit_folders.keep_until_exit([root, "/elsewhere"])
    folder.close()
    remove_abandoned()
    assert len(files_below(root)) == 6
    visit_folders._let_go()
    assert list(visits.iterdir()) == []


def test_a_training_whose_images_are_gone_says_so_as_for_any_folder(visits):
    folder = VisitFolder()
    root = unpack_into(folder)
    folder.close()
    visit_folders.keep_until_exit([root])
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        scan_dataset(root)


def test_visits_together_have_a_limit(visits, monkeypatch):
    monkeypatch.setattr(visit_folders, "VISITS_LIMIT_BYTES", 10_000)
    folder = VisitFolder()
    np.save(folder.path / "array.npy", np.zeros(10_000, np.uint8))
    with pytest.raises(ValueError, match="as much as is allowed here; try again once other visits have ended"):
        VisitFolder()
    folder.close()
    VisitFolder().close()
