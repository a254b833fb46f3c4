"""Which items of the CLAIM checklist are answered? What is not known is said to be not available.

Source:
    Mongan, Moy & Kahn 2020, Checklist for Artificial Intelligence in Medical Imaging (CLAIM),
    doi:10.1148/ryai.2020200029: its 42 items, in short words of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

NOT_AVAILABLE = "Not available."

# Section, number, title, and the name of the answer in `claim_answers`; None where no program can know it.
_ITEMS: tuple[tuple[str, int, str, str | None], ...] = (
    ("Title and abstract", 1, "Identification as a study of AI, and its technology", "technology"),
    ("Title and abstract", 2, "Structured summary", "summary"),
    ("Introduction", 3, "Background, intended use and clinical role", "intended_use"),
    ("Introduction", 4, "Objectives and hypotheses", "objective"),
    ("Study design", 5, "Prospective or retrospective", "design"),
    ("Study design", 6, "Study goal", "objective"),
    ("Data", 7, "Data sources", "sources"),
    ("Data", 8, "Eligibility criteria: where, when and how images were included", "eligibility"),
    ("Data", 9, "Pre-processing", "preprocessing"),
    ("Data", 10, "Selection of data subsets", "exclusions"),
    ("Data", 11, "Definitions of data elements", "classes"),
    ("Data", 12, "De-identification", None),
    ("Data", 13, "How missing data were handled", "missing"),
    ("Ground truth", 14, "Definition of the reference standard", "reference"),
    ("Ground truth", 15, "Rationale for the reference standard", None),
    ("Ground truth", 16, "Source of annotations and qualification of annotators", None),
    ("Ground truth", 17, "Annotation tools", None),
    ("Ground truth", 18, "Variability between and within annotators", None),
    ("Data partitions", 19, "Intended sample size and how it was determined", None),
    ("Data partitions", 20, "How data were assigned to partitions, and proportions", "partitions"),
    ("Data partitions", 21, "Level at which partitions are disjoint", "disjoint"),
    ("Model", 22, "Detailed description of the model", "model"),
    ("Model", 23, "Software libraries, frameworks and packages", "software"),
    ("Model", 24, "Initialisation of parameters", "initialisation"),
    ("Training", 25, "Training approach: augmentation, hyperparameters, number of models", "training"),
    ("Training", 26, "How the final model was selected", "selection"),
    ("Training", 27, "Ensembling", "ensembling"),
    ("Evaluation", 28, "Metrics of performance", "metric_names"),
    ("Evaluation", 29, "Statistical measures of significance and uncertainty", "uncertainty"),
    ("Evaluation", 30, "Robustness or sensitivity analysis", "robustness"),
    ("Evaluation", 31, "Explainability", "explainability"),
    ("Evaluation", 32, "Testing on external data", "external"),
    ("Results", 33, "Flow of cases", "flow"),
    ("Results", 34, "Demographic and clinical characteristics per partition", None),
    ("Results", 35, "Performance on all partitions", "performance"),
    ("Results", 36, "Diagnostic accuracy and its precision", "accuracy"),
    ("Results", 37, "Failure analysis", "failures"),
    ("Discussion", 38, "Limitations", "limits"),
    ("Discussion", 39, "Implications for practice", "implications"),
    ("Other information", 40, "Registration", None),
    ("Other information", 41, "Where the full protocol can be found", "protocol"),
    ("Other information", 42, "Funding and other support", None),
)


@dataclass(frozen=True)
class ClaimItem:
    """One item of the checklist: its section, number and short title, and the answer or `NOT_AVAILABLE`."""

    section: str
    number: int
    title: str
    answer: str

    @property
    def is_answered(self) -> bool:
        """True where something is known."""
        return self.answer != NOT_AVAILABLE


def claim_items(answers: Mapping[str, str]) -> tuple[ClaimItem, ...]:
    """Answer the 42 items of the checklist, in its order.

    Args:
        answers: {name: sentences}, as `claim_answers.answers` returns them; an empty one counts as unknown.
    """
    return tuple(
        ClaimItem(section, number, title, (answers.get(name) if name else None) or NOT_AVAILABLE)
        for section, number, title, name in _ITEMS
    )
