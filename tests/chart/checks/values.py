"""Reads the chart's values.yaml with its comments, and makes of it the schema and the README's table.

values.yaml is written in a small part of YAML on purpose: two blanks a level, a comment of two number signs before
every key, and lists and maps with anything in them in the form of JSON, so that this reader needs nothing but
Python. That helm reads the same values is checked by `tests/chart/run`.
"""

import json
import re
from dataclasses import dataclass, field

KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(?: (.*))?$")
HEADING = "# "


class Wrong(Exception):
    """values.yaml is not written as it should be."""


@dataclass
class Value:
    """A key with what is said about it."""

    path: str
    text: str
    kind: str
    default: object = None
    below: dict = field(default_factory=dict)
    heading: str = ""
    line: int = 0


def scalar(text, line):
    """A default as JSON writes it, or a bare word."""
    if text[0] in "[{\"" or re.fullmatch(r"-?\d+|true|false|null", text):
        try:
            return json.loads(text)
        except ValueError as error:
            raise Wrong(f"values.yaml:{line}: {text!r} is not written as JSON: {error}") from None
    return text


def read(text):
    """The values of the top level, by key."""
    top = {}
    open_levels = [(-1, Value("", "", "", below=top))]
    said, kind, heading = [], "", ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare:
            said, kind = [], ""
        elif bare.startswith("##: "):
            kind = bare[4:]
        elif bare.startswith("## " + HEADING):
            heading = bare[3 + len(HEADING):]
        elif bare.startswith("## "):
            said.append(bare[3:])
        elif found := KEY.match(line):
            depth = len(found[1]) // 2
            while open_levels[-1][0] >= depth:
                open_levels.pop()
            parent = open_levels[-1][1]
            if not said:
                raise Wrong(f"values.yaml:{number}: `{found[2]}` says nothing about itself")
            value = Value(f"{parent.path}.{found[2]}".lstrip("."), " ".join(said), kind, line=number)
            value.heading, heading = heading, ""
            if found[3] is None:
                open_levels.append((depth, value))
            else:
                value.default = scalar(found[3], number)
            parent.below[found[2]] = value
            said, kind = [], ""
        else:
            raise Wrong(f"values.yaml:{number}: not a key and not a comment of two number signs: {bare}")
    return top


# Schemas by type name, for types that need more than one keyword.
QUANTITY = {"type": ["string", "integer"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
# As `PATTERN` in src/export/endpoint.rs, which a separate test compares with the schema.
ENDPOINT = (
    r"^(([hH][tT][tT][pP]://)?"
    r"(\[[0-9A-Fa-f:.]+\]|(\$\([A-Za-z_][A-Za-z0-9_]*\)|[A-Za-z0-9._-])+)"
    r"(:([0-9]{1,5}|\$\([A-Za-z_][A-Za-z0-9_]*\)))?"
    r"(/[!-\x22$-~]*)?)?$"
)
DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}


def strict(properties, required=()):
    """An object with these keys and no others."""
    made = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**made, "required": list(required)} if required else made


def definitions():
    """Types with names."""
    amounts = {"type": "object", "additionalProperties": {"$ref": "#/$defs/quantity"}}
    strings = {"type": "object", "additionalProperties": {"type": "string"}}
    words = {"type": "array", "items": {"type": "string"}}
    groups = {name: {"type": "boolean"} for name in ("http", "database", "log", "functions")}
    return {
        "quantity": QUANTITY,
        "duration": DURATION,
        "resources": strict({"requests": amounts, "limits": amounts}),
        "expression": strict(
            {
                "key": {"type": "string"},
                "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                "values": {"type": "array", "items": {"type": "string"}},
            },
            ["key", "operator"],
        ),
        "spread": strict(
            {
                "topologyKey": {"type": "string"},
                "whenUnsatisfiable": {"enum": ["ScheduleAnyway", "DoNotSchedule"]},
                "maxSkew": {"type": "integer", "minimum": 1},
            },
            ["topologyKey"],
        ),
        "command": {
            "anyOf": [words, strict({"entrypoint": words, "cmd": words}, ["entrypoint"])],
        },
        "namespace": strict(
            {
                "port": {"type": "integer", "minimum": 1024, "maximum": 65535},
                "mode": {"enum": ["native", "classic"]},
                "resources": {"$ref": "#/$defs/resources"},
                "otlp": strict(
                    {
                        "endpoint": {"type": "string", "pattern": ENDPOINT},
                        "protocol": {"enum": ["http/protobuf", "grpc"]},
                        "headers": strings,
                        "headersSecret": strict({"name": {"type": "string"}, "key": {"type": "string"}}),
                    }
                ),
                "metrics": strict({"prefix": {"type": "string"}, "groups": strict(groups)}),
                "finalScrape": strict(
                    {
                        "jobs": {"$ref": "#/$defs/duration"},
                        "others": {"$ref": "#/$defs/duration"},
                        "scrapers": {"type": "integer", "minimum": 1, "maximum": 4},
                    }
                ),
                "allow": {"type": "array", "items": {"enum": ["image", "resources"]}},
            }
        ),
    }


def number_range(text):
    """`1..30` as minimum and maximum."""
    low, _, high = text.partition("..")
    made = {"minimum": int(low)} if low else {}
    return {**made, **({"maximum": int(high)} if high else {})}


def typed(kind, value):
    """The schema of a type as the comments name it."""
    word, _, rest = kind.partition(" ")
    named = definitions()
    if word in named:
        return {"$ref": f"#/$defs/{word}"}
    match word:
        case "duration?" | "quantity?":
            return {"anyOf": [{"const": ""}, {"$ref": f"#/$defs/{word[:-1]}"}]}
        case "string":
            if ".." in rest and rest[0].isdigit():
                return {"type": "string", "minLength": int(rest.partition("..")[0])}
            return {"type": "string", **({"pattern": rest} if rest else {})}
        case "integer":
            return {"type": "integer", **number_range(rest)}
        case "enum":
            return {"enum": rest.split()}
        case "list":
            return {"type": "array", "items": typed(rest, value)}
        case "map":
            return {"type": "object", "additionalProperties": typed(rest, value)}
        case "open":
            return {"type": "object"}
    raise Wrong(f"values.yaml:{value.line}: no type `{kind}`")


def schema_of(value):
    """The schema of one key and of what is below it."""
    said = {"description": value.text}
    if value.below:
        return {**said, **strict({key: schema_of(below) for key, below in value.below.items()})}
    if value.kind:
        of = typed(value.kind, value)
    elif isinstance(value.default, bool):
        of = {"type": "boolean"}
    elif isinstance(value.default, str):
        of = {"type": "string"}
    else:
        raise Wrong(f"values.yaml:{value.line}: the type of `{value.path}` must be said (##: TYPE)")
    return {**said, "default": value.default, **of}


def schema(values):
    """values.schema.json as text."""
    properties = {key: schema_of(value) for key, value in values.items()}
    properties["enabled"] = {
        "description": "For a chart that depends on this one with `condition: sidelight.enabled`. Read by Helm alone.",
        "type": "boolean",
    }
    properties["global"] = {"description": "Helm's own, for a chart that depends on this one.", "type": "object"}
    made = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart sidelight",
        **strict(properties),
        "$defs": definitions(),
    }
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def completed(values):
    """The replacement of a value that is missing or null: an empty list or map, else the default."""
    made = {}
    for key, value in values.items():
        if value.below:
            made[key] = completed(value.below)
        elif isinstance(value.default, (list, dict)):
            made[key] = type(value.default)()
        else:
            made[key] = value.default
    return made


def leaves(values):
    """All keys without keys below them, in order; a heading goes with the first key behind it."""
    for value in values.values():
        if value.below:
            yield value
            yield from leaves(value.below)
        else:
            yield value


def table(values):
    """The README's part about values, as Markdown."""
    lines = []
    for value in leaves(values):
        if value.heading:
            lines += ["", f"### {value.heading}", "", "| value | default | |", "|---|---|---|"]
        default = "" if value.below else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        text = value.text.replace("|", "\\|")
        lines.append(f"| `{value.path}` | {default} | {text} |")
    return "\n".join(lines).strip() + "\n"


def defaults(values):
    """The values as plain data, to be compared with what helm reads."""
    return {key: defaults(value.below) if value.below else value.default for key, value in values.items()}
