"""Files that are made of something else, and from what. A part gives {path: text} and changes nothing itself."""

import helm
import values
from helm import CHART, ROOT

BEGIN = "<!-- values: written by tests/chart/generate -->\n"
END = "<!-- end of values -->"


class Missing(Exception):
    """What a part is made with is not here."""


def schema():
    """The schema, from the comments of values.yaml."""
    read = values.read((CHART / "values.yaml").read_text())
    return {CHART / "values.schema.json": values.schema(read)}


def readme():
    """The table of values in the chart's README."""
    path = CHART / "README.md"
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{path} has no place for the table")
    table = values.table(values.read((CHART / "values.yaml").read_text()))
    return {path: f"{before}{BEGIN}{table}{END}{after}"}


PARTS = {"schema": schema, "readme": readme}


def differing(files):
    """What is not as it should be."""
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            yield path.relative_to(ROOT), text


def write(path, text):
    """Writes a file below the root."""
    (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
    (ROOT / path).write_text(text)
