"""Which words of a header name the chest, another part of the body, or a view?

In English, German, French, Spanish, Portuguese, Italian and Dutch, without accents. What is in none of the lists says
nothing: an image is never refused for a word that nobody understood.
"""

import re

from cxr_core.system.text import without_accents

# A stem stands for all words that begin with it, where it has five letters or more; a shorter one for itself alone, or
# with a plural's S.
_CHEST = (
    "CHEST", "CXR", "THX", "THORAX", "TORAX", "TORAKS", "LUNG", "LUNGE", "LUNGEN", "LONGEN", "PULMO", "PULMAO",
    "POUMON", "POLMON", "RIB", "PECHO", "PEITO", "PETTO", "POITRINE", "BORSTKAS", "BRUSTKORB", "RIPPE", "COSTILLA",
    "COSTELA", "COSTOLA",
)  # fmt: skip
# Of the chest; together with a word for the spine, of that part of the spine.
_THORACIC = ("THORAC", "TORAC", "THORAK", "TORAK", "BRUST", "BORST", "DORSAL")
_SPINE = (
    "SPINE", "SPINAL", "TSPINE", "CSPINE", "LSPINE", "VERTEBR", "WIRBEL", "RACHIS", "RACHIDE", "COLUMNA", "COLUNA",
    "COLONNA", "COLONNE", "WERVEL", "HWS", "BWS", "LWS", "LUMBAR", "LUMBO", "LENDEN", "LOMBA", "CERVICAL", "SACRUM",
    "SACRAL", "SACRO", "COCCY", "BRUSTWIRBEL", "HALSWIRBEL", "LENDENWIRBEL", "BORSTWERVEL",
)  # fmt: skip
_OTHER_PARTS = (
    "HAND", "HANDGELENK", "FINGER", "THUMB", "WRIST", "FOREARM", "ELBOW", "HUMER", "SHOULDER", "CLAVIC", "SCAPULA",
    "ARM", "UNTERARM", "OBERARM", "ELLBOGEN", "ELLENBOGEN", "SCHULTER", "MAIN", "DOIGT", "POIGNET", "COUDE",
    "EPAULE", "BRAS", "MANO", "MAO", "DEDO", "MUNECA", "PUNHO", "ANTEBRA", "CODO", "COTOVELO", "HOMBRO", "OMBRO",
    "BRAZO", "BRACO", "POLSO", "GOMITO", "SPALLA", "BRACCIO", "POLS", "ELLEBOOG", "SCHOUDER", "RADIUS", "ULNA",
    "FOOT", "FEET", "TOE", "ANKLE", "HEEL", "CALCAN", "LEG", "TIBIA", "FIBULA", "KNEE", "PATELLA", "FEMUR", "THIGH",
    "HIP", "EXTREMIT", "KNIE", "FUSS", "ZEHE", "ZEHEN", "SPRUNGGELENK", "UNTERSCHENKEL", "OBERSCHENKEL", "HUFTE",
    "HUEFTE", "PIED", "ORTEIL", "CHEVILLE", "JAMBE", "GENOU", "CUISSE", "HANCHE", "PIE", "TOBILLO", "TORNOZELO",
    "PIERNA", "PERNA", "RODILLA", "JOELHO", "MUSLO", "COXA", "CADERA", "QUADRIL", "PIEDE", "CAVIGLIA", "GAMBA",
    "GINOCCHIO", "COSCIA", "ANCA", "ENKEL", "VOET", "HEUP", "ABDOM", "ABD", "KUB", "PELVI", "BREAST", "BLADDER",
    "KIDNEY", "STOMACH", "COLON", "BOWEL", "STERNUM", "BAUCH", "BECKEN", "MAMMA", "MAMMO", "VENTRE", "BASSIN", "SEIN",
    "CADERAS", "BACIA", "MAMA", "ADDOME", "BACINO", "MAMMELLA", "BUIK", "BEKKEN", "SKULL", "HEAD", "BRAIN", "FACE",
    "FACIAL", "SINUS", "ORBIT", "MANDIB", "MAXILL", "JAW", "NECK", "TEETH", "TOOTH", "DENTAL", "NASAL", "NOSE", "EYE",
    "EAR", "SCHADEL", "SCHAEDEL", "KOPF", "ZAHN", "KIEFER", "TETE", "CRANE", "COU", "DENT", "CRANEO", "CRANIO",
    "CRANIUM", "CABEZA", "CABECA", "CUELLO", "PESCOCO", "TESTA", "COLLO", "DENTI", "HOOFD", "SCHEDEL",
)  # fmt: skip
# DICOM PS3.3 C.8.11.5 and what hospitals write in its place.
_SIDE_VIEWS = ("LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "LATERO", "PERFIL", "PROFIL", "SEITLICH", "ZIJDELINGS")
_PA_VIEWS = ("PA", "POSTERO", "POSTEROANTERIOR", "POSTERIORANTERIOR")
_AP_VIEWS = ("AP", "ANTERO", "ANTEROPOSTERIOR", "ANTERIORPOSTERIOR")
_FRONTAL_VIEWS = (*_PA_VIEWS, *_AP_VIEWS, "FRONTAL", "FRONT", "FACE", "FRENTE")
_FROM_STEM = 5


def is_another_part(text: str) -> bool:
    """Return True if a text in capitals names a part of the body other than the chest, and not the chest as well."""
    words = _words_of(text)
    if _names(words, _CHEST):
        return False
    if _names(words, _SPINE):
        return True
    return not _names(words, _THORACIC) and _names(words, _OTHER_PARTS)


def is_side_view(text: str) -> bool:
    """Return True if a text in capitals names a lateral view, and not a frontal one as well."""
    words = _words_of(text)
    return _names(words, _SIDE_VIEWS) and not _names(words, _FRONTAL_VIEWS)


def view_of(text: str) -> str | None:
    """Return "PA", "AP" or "LATERAL" for a text in capitals that names one of them; None for all others."""
    words = _words_of(text)
    found = [name for name, stems in (("PA", _PA_VIEWS), ("AP", _AP_VIEWS)) if _names(words, stems)]
    if not found and is_side_view(text):
        found = ["LATERAL"]
    return found[0] if len(found) == 1 else None


def _words_of(text: str) -> list[str]:
    """Split a text into words without accents; also without a side before it; last, all letters together."""
    plain = without_accents(text)
    words = re.findall(r"[A-Z]+", plain.upper())
    sided = [word[1:] for word in words if word[0] in "LR" and len(word) > 3]
    return [*words, *sided, "".join(words)]


def _names(words: list[str], stems: tuple[str, ...]) -> bool:
    *single, joined = words
    # Letters of several words may begin with a stem by chance: `TEST AP` with TESTA, a head.
    return joined in stems or any(_is_of(word, stem) for stem in stems for word in single)


def _is_of(word: str, stem: str) -> bool:
    return word.startswith(stem) if len(stem) >= _FROM_STEM else word in (stem, f"{stem}S")
