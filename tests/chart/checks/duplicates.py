"""Finds keys that stand twice in a map: {name: YAML text} as JSON in, {name: [path, ...]} as JSON out.

Helm and kubectl take the last one without a word; kustomize and Flux refuse the whole file. Runs in the Python of
tests/peers/build, which has PyYAML.
"""

import json
import sys

import yaml


def repeated(node, path=""):
    """The paths of all keys that stand twice below a node."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = f"{path}.{key.value}"
            if key.value in seen:
                yield f"{name} (line {key.start_mark.line + 1})"
            seen.add(key.value)
            yield from repeated(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from repeated(value, f"{path}[{number}]")


def main():
    """Reads all texts."""
    found = {}
    for name, text in json.load(sys.stdin).items():
        try:
            paths = [path for node in yaml.compose_all(text, yaml.CSafeLoader) for path in repeated(node)]
        except yaml.YAMLError as error:
            paths = [f"no YAML: {error}"]
        if paths:
            found[name] = paths
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
