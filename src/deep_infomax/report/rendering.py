"""The templates of pages; what they show is escaped."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """A template of this package, by the name of its file."""
    environment = Environment(
        loader=PackageLoader("deep_infomax.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
