"""Which side of a split does the name of a folder, or the cell of a table, mean?"""

import re

from cxr_core.system.text import without_accents

_WORDS = {
    "train": (
        "train", "training", "trainings", "trn", "entrenamiento", "entrainement", "apprentissage", "treino",
        "treinamento", "addestramento", "egitim", "träning", "traening", "træning", "trening", "treningowy",
        "trenovani", "обучение", "обучающая", "训练", "訓練", "学習", "훈련", "학습",
    ),
    "validation": (
        "val", "valid", "validate", "validation", "dev", "development", "tuning", "validierung", "validierungs",
        "validacion", "validacao", "validazione", "validatie", "dogrulama", "validering", "walidacja", "validace",
        "валидация", "проверка", "验证", "検証", "검증",
    ),
    "test": ("test", "testing", "tst", "hold[-_ ]?out", "prueba", "pruebas", "teste", "testowy", "тест", "тестовая",
             "测试", "テスト", "시험", "테스트"),
    # The test side where there is no other, else the one that is looked at before it.
    "evaluation": ("eval", "evaluate", "evaluation"),
}  # fmt: skip


def _plain(name: str) -> str:
    """Return a name in small letters and without accents."""
    return without_accents(name.strip().casefold())


_SIDE = "|".join(f"(?P<{side}>{'|'.join(map(_plain, words))})" for side, words in _WORDS.items())
_FURTHER = r"(?:set|集|data|daten|datensatz|dataset|images?|imgs?|folder|split|cxrs?|x[-_ ]?rays?)"
# `train`, `Training Set`, `test_images`, `ValData`, `1_train`, `train2017`, `val_10`, `test (20%)`.
_NAME = re.compile(rf"(?:\d{{1,2}}[-_. )]+)?(?:{_SIDE})(?:[-_ ]?{_FURTHER})?(?:[-_ ]?\(?\d{{1,4}} ?%?\)?)?")
_BEFORE = re.compile(rf"(?:{_SIDE})[-_ ]+(?P<rest>.+)")
_BEHIND = re.compile(rf"(?P<rest>.+?)[-_ ]+(?:{_SIDE})(?:[-_ ]?{_FURTHER})?")


def sides_of(names: list[str]) -> dict[str, str]:
    """Return {name: one of `found_image.SPLIT_WORDS`} of the names that mean a side, in any case and some languages."""
    return _settled({name: found for name in names if (found := _side(_NAME.fullmatch(_plain(name))))})


def parted_names(names: list[str]) -> dict[str, tuple[str, str]]:
    """Return {name: (the rest of it, the side)} of names such as `covid_train` and `test-normal`."""
    sides, rests = dict[str, str](), dict[str, str]()
    for name in names:
        spelt, plain = name.strip(), _plain(name)
        match = _BEFORE.fullmatch(plain) or _BEHIND.fullmatch(plain)
        if match and (side := _side(match)):
            sides[name], (start, end) = side, match.span("rest")
            # As it is spelt, where leaving out the accents moved nothing.
            rests[name] = spelt[start:end] if len(plain) == len(spelt) else match["rest"]
    return {name: (rests[name], side) for name, side in _settled(sides).items()}


def _side(match: re.Match[str] | None) -> str | None:
    return next((side for side in _WORDS if match and match[side]), None)


def _settled(sides: dict[str, str]) -> dict[str, str]:
    instead = "validation" if "test" in sides.values() else "test"
    return {name: instead if side == "evaluation" else side for name, side in sides.items()}
