"""How a template is filled: reports and model cards. Needs no pandas."""

import jinja2


def render_template(name, facts):
    """Fill a template.

    Args:
        name: str, a file of `templates/`; where it ends in `.html.j2`, every value is escaped.
        facts: dict of what it names; a missing one is an error (jinja2.UndefinedError).

    Returns:
        str.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cxr_core.reporting"),
        autoescape=name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = lambda value: "–" if value is None else f"{value:.1%}"
    environment.filters["cell"] = lambda value: str(value).replace("|", "\\|")
    return environment.get_template(name).render(facts)
