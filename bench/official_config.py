"""Reads configuration files for the official STMixer code, without a YAML package."""
import ast
import re
import sys


def load(path, overrides):
    """Returns the official configuration with a file and overrides, and the file's keys that the official code lacks."""
    from alphaction.config import cfg

    with open(path, encoding="utf-8") as file:
        ignored = merge(cfg, parse_yaml(file.read()))
    for key, value in zip(overrides[::2], overrides[1::2]):
        *sections, name = key.split(".")
        tree = {name: parse_value(value)}
        for section in reversed(sections):
            tree = {section: tree}
        if merge(cfg, tree):
            sys.exit(f"the official code has no key {key}")
    return cfg, ignored


def merge(target, source, prefix=""):
    """Sets the values of `source` in `target`, and returns the names of those that `target` does not have."""
    ignored = []
    for key, value in source.items():
        if key not in target:
            ignored.append(prefix + key)
        elif isinstance(value, dict):
            ignored += merge(target[key], value, f"{prefix}{key}.")
        else:
            target[key] = value
    return ignored


def parse_yaml(text):
    """Reads the YAML that configurations consist of: nested sections, and values on one line."""
    root = {}
    sections = [(-1, root)]
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if not line:
            continue
        indent = len(line) - len(line.lstrip())
        key, _, value = line.strip().partition(":")
        while sections[-1][0] >= indent:
            sections.pop()
        section = sections[-1][1]
        if value.strip():
            section[key] = parse_value(value.strip())
        else:
            section[key] = {}
            sections.append((indent, section[key]))
    return root


def parse_value(text):
    """A Python literal, a list of plain words, or text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        if text.startswith("[") and text.endswith("]"):
            return [word.strip() for word in text[1:-1].split(",")]
        return {"true": True, "false": False}.get(text, text)
