"""Miniatures of public data sets, with the true names of their folders, files and columns, open as they are."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from image_files import dicom
from PIL import Image

from cxr_core.data.phantoms import draw_phantom

CHEXPERT = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
HEALTHY, PNEUMONIA = "1.0" + "," * 13, "0.0,,,1.0,,,,1.0,-1.0,,,,,"
NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
MIMIC = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,"
    "Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
)


class Miniature(NamedTuple):
    """One public set: its tables' text by file, its images, and what is to come of it."""

    tables: dict[str, str]
    images: list[str]
    classes: dict[str, int]
    patients: int
    told: set[str]
    said: str
    passed_over: list[str] = []


SETS = {
    "radiography": Miniature(
        {"README.md.txt": "COVID-19 CHEST X-RAY DATABASE"},
        [f"COVID-19_Radiography_Dataset/{c}/{kind}/{c}-{n}.png"
         for c in ("COVID", "Normal", "Viral Pneumonia", "Lung_Opacity")
         for kind in ("images", "masks") for n in (1, 2)],
        {"Normal": 2, "COVID": 2, "Viral Pneumonia": 2, "Lung_Opacity": 2}, 0, {"mask"}, "One folder per class, below",
        [f"COVID-19_Radiography_Dataset/{c}/masks" for c in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")],
    ),
    "kermany": Miniature(
        {},
        [f"chest_xray/{side}/{name}" for side in ("train", "val", "test")
         for name in (f"NORMAL/IM-011{len(side)}-0001.jpeg", "PNEUMONIA/person1_bacteria_1.jpeg",
                      "PNEUMONIA/person2_virus_6.jpeg")],
        {"NORMAL": 3, "PNEUMONIA": 6}, 5, {"split"}, "Folders train, validation and test",
    ),
    "nih": Miniature(
        {
            "Data_Entry_2017.csv": f"{NIH}\n00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
            "00000001_001.png,No Finding,1,1,058Y,M,AP,2894,2729,0.143,0.143,\n"
            "00000002_000.png,Pneumonia|Infiltration,0,2,81,F,PA,2500,2048,0.171,0.171,\n",
            "train_val_list.txt": "00000001_000.png\n00000001_001.png\n",
            "test_list.txt": "00000002_000.png\n",
        },
        ["images_001/images/00000001_000.png", "images_001/images/00000001_001.png",
         "images_002/images/00000002_000.png"],
        {"normal": 1, "cardiomegaly": 1, "pneumonia": 1}, 2, {"split", "view", "age_group", "sex"}, "NIH ChestX-ray14",
    ),
    "covid_chestxray": Miniature(
        {"metadata.csv": "patientid,offset,sex,age,finding,RT_PCR_positive,view,modality,date,location,"
         "folder,filename\n"
         '2,0,M,65,Pneumonia/Viral/COVID-19,Y,PA,X-ray,"January 22, 2020","Cho Ray Hospital, Vietnam",images,a.jpg\n'
         "4,1,F,52,No Finding,,AP,X-ray,2020,Padua,images,b.png\n"
         "5,1,F,52,Pneumonia,,Axial,CT,2020,Padua,volumes,c.nii.gz\n"},
        ["images/a.jpg", "images/b.png"],
        {"normal": 1, "covid": 1}, 2, {"view", "age_group", "sex", "source"}, "covid-chestxray-dataset",
        ["metadata.csv"],
    ),
    "rsna": Miniature(
        {
            "stage_2_train_labels.csv": "patientId,x,y,width,height,Target\np1,,,,,0\np2,264.0,152.0,213.0,379.0,1\n"
            "p2,562.0,152.0,256.0,453.0,1\n",
            "stage_2_detailed_class_info.csv": "patientId,class\np1,Normal\np2,Lung Opacity\np2,Lung Opacity\n",
        },
        ["stage_2_train_images/p1.dcm", "stage_2_train_images/p2.dcm"],
        {"normal": 1, "pneumonia": 1}, 2, set(), "RSNA pneumonia, three classes",
    ),
    "chexpert": Miniature(
        {f"{side}.csv": f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT}\n"
         f"CheXpert-v1.0-small/{side}/patient{n}/study1/view1_frontal.jpg,Female,68,Frontal,AP,{HEALTHY}\n"
         f"CheXpert-v1.0-small/{side}/patient{n + 1}/study1/view1_frontal.jpg,Male,87,Frontal,PA,{PNEUMONIA}\n"
         for side, n in (("train", 10001), ("valid", 64541))},
        [f"{side}/patient{n}/study1/view1_frontal.jpg"
         for side, n in (("train", 10001), ("train", 10002), ("valid", 64541), ("valid", 64542))],
        {"normal": 2, "pneumonia": 2}, 4, {"split", "view", "age_group", "sex"}, "CheXpert",
    ),
    "mimic": Miniature(
        {
            "mimic-cxr-2.0.0-chexpert.csv": f"{MIMIC}\n10000032,50414267,,,,,,,,,1.0,,,,,\n"
            "10000764,57375967,,,1.0,,,,,,,,,1.0,,-1.0\n",
            "mimic-cxr-2.0.0-split.csv": "dicom_id,study_id,subject_id,split\na-1,50414267,10000032,train\n"
            "b-2,57375967,10000764,validate\n",
            "mimic-cxr-2.0.0-metadata.csv": "dicom_id,subject_id,study_id,ViewPosition,Rows,Columns\n"
            "a-1,10000032,50414267,PA,3056,2544\nb-2,10000764,57375967,AP,3056,2544\n",
        },
        ["files/p10/p10000032/s50414267/a-1.jpg", "files/p10/p10000764/s57375967/b-2.jpg"],
        {"normal": 1, "pneumonia": 1}, 2, {"split", "view"}, "MIMIC-CXR",
    ),
    "siim": Miniature(
        {"train_study_level.csv": "id,Negative for Pneumonia,Typical Appearance,Indeterminate Appearance,"
         "Atypical Appearance\ns1_study,0,1,0,0\ns2_study,1,0,0,0\n",
         "train_image_level.csv": "id,boxes,label,StudyInstanceUID\ni1_image,,opacity 1 789.2 582.4 1815.9 2499.7,s1\n"
         "i2_image,,none 1 0 0 1 1,s2\n"},
        ["train/s1/u1/i1.dcm", "train/s2/u2/i2.dcm"],
        {"normal": 1, "covid": 1}, 2, set(), "SIIM-FISABIO-RSNA COVID-19",
    ),
    "padchest": Miniature(
        {"PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv": ",ImageID,ImageDir,StudyID,PatientID,PatientBirth,"
         "PatientSex_DICOM,Projection,Labels\n0,a_1.png,0,s1,p1,1930.0,M,PA,\"['normal']\"\n"
         "1,b_2.png,1,s2,p2,1940.0,F,AP_horizontal,\"['pneumonia', 'infiltrates']\"\n"},
        ["0/a_1.png", "1/b_2.png"],
        {"normal": 1, "pneumonia": 1}, 2, {"view", "sex"}, "PadChest",
    ),
    "covidx": Miniature(
        {"train.txt": "p1 a.png positive ricord\np2 b.png negative rsna\n", "test.txt": "p3 c.png positive cohen\n"
         "p4 d.png negative rsna\n"},
        ["train/a.png", "train/b.png", "test/c.png", "test/d.png"],
        {"covid": 2, "no covid": 2}, 4, {"split", "source"}, "COVIDx",
    ),
    "indiana": Miniature(
        {"indiana_reports.csv": "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"
         "1,normal,normal,Xray Chest PA and Lateral,,None.,\"Clear, both.\",Normal.\n"
         "2,Cardiomegaly/borderline;Opacity,Cardiomegaly;Opacity,Chest,,,,\n3,Pneumonia/mild,Pneumonia,PA,,,,\n",
         "indiana_projections.csv": "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n"
         "1,1_IM-0001-3001.dcm.png,Lateral\n2,2_IM-0652-1001.dcm.png,Frontal\n3,3_IM-1384-1001.dcm.png,Frontal\n"},
        [f"images/images_normalized/{name}.dcm.png"
         for name in ("1_IM-0001-4001", "1_IM-0001-3001", "2_IM-0652-1001", "3_IM-1384-1001")],
        {"normal": 2, "other": 1, "pneumonia": 1}, 3, {"view"}, "Indiana University (indiana_projections.csv)",
    ),
    "vindr": Miniature(
        {"train.csv": "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\na1,No finding,14,R11,,,,\n"
         "a1,No finding,14,R7,,,,\nb2,Cardiomegaly,3,R9,691,1375,1653,1831\nb2,Aortic enlargement,0,R9,1,2,3,4\n"},
        ["train/a1.dicom", "train/b2.dicom"],
        {"normal": 1, "other": 1}, 0, set(), "VinDr-CXR",
    ),
}  # fmt: skip


def build(root: Path, miniature: Miniature) -> Path:
    """Write a miniature: each image is a drawing of its own."""
    for number, name in enumerate(miniature.images):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(draw_phantom("normal", np.random.default_rng(number))).resize((64, 64))
        if path.suffix in (".dcm", ".dicom"):
            path.write_bytes(dicom(np.asarray(image)))
        else:
            image.save(path)
    for name, text in miniature.tables.items():
        (root / name).write_text(text, encoding="utf-8")
    return root
