"""How is the template of a report or a model card filled?"""

from collections.abc import Mapping
from typing import Any

import jinja2

from cxr_core.system.text import percent


def render_template(name: str, facts: Mapping[str, Any]) -> str:
    """Fill a template.

    Args:
        name: a file of `templates/`; where it ends in `.html.j2`, every value is escaped.
        facts: a value for every name in the template.

    Raises:
        jinja2.UndefinedError: a value is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cxr_core.reporting"),
        autoescape=name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = lambda value: "–" if value is None else percent(value)
    environment.filters["cell"] = lambda value: str(value).replace("|", "\\|")
    return environment.get_template(name).render(facts)
