"""Texts from templates: the one environment in which the package's Jinja templates are filled."""

from pathlib import Path


def render(template: Path, **context: object) -> str:
    """Fill a Jinja template and return the text, with the line break at its end.

    A line that holds a tag alone leaves no line behind. What ``context`` lacks is an empty text: records of older
    versions lack fields.

    Args:
        template: path of the template; others that it includes are in the same folder.
        context: its variables.
    """
    import jinja2  # here, because most of what imports this wing writes no text

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(context)
