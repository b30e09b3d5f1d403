"""What does a YAML text say, and on which line does it say it? Pure.

Plain scalars follow YAML 1.2: `yes` and `on` are text, `12:30` is text. Tags, anchors that repeat, several documents and
keys given twice are refused, so a small text cannot grow large and nothing of it is lost in silence.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from clusterd.model.manifest.problems import BadManifest, ManifestProblem
from clusterd.model.records import Json

SIZE_MAX_BYTES = 1 << 20
DEPTH_MAX = 32

_INTEGER = re.compile(r"[-+]?\d{1,18}|0x[0-9a-fA-F]{1,15}|0o[0-7]{1,18}")
_FLOAT = re.compile(r"[-+]?((\.\d+|\d+\.\d*)([eE][-+]?\d{1,3})?|\d{1,99}[eE][-+]?\d{1,3})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS = frozenset(
    f"tag:yaml.org,2002:{each}" for each in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge")
)
_Loader: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Located:
    """A value with its place. Mappings hold their entries in the order of the text."""

    path: str
    line: int
    value: "Scalar | list[Located] | dict[str, Located]"

    def at(self, message: str) -> ManifestProblem:
        return ManifestProblem(self.line, self.path, message)

    def plain(self) -> Json:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: each.plain() for key, each in self.value.items()}
        if isinstance(self.value, list):
            return [each.plain() for each in self.value]
        return self.value


Scalar: TypeAlias = bool | int | float | str | None


def read_yaml(text: str) -> tuple[Located, list[ManifestProblem]]:
    """The one document in `text`, and what is wrong with it. Raises BadManifest when it is no YAML at all."""
    if len(text.encode("utf-8", "surrogatepass")) > SIZE_MAX_BYTES:
        raise BadManifest([ManifestProblem(1, "", f"a manifest has at most {SIZE_MAX_BYTES} bytes")])
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        told = ", ".join(each for each in (error.context, error.problem) if each)
        raise BadManifest([ManifestProblem(line, "", f"this is not YAML: {told}")]) from error
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        told = str(error).splitlines()[0] if str(error) else "it is nested too deeply"
        raise BadManifest([ManifestProblem(1, "", f"this is not YAML: {told}")]) from error
    if root is None:
        return Located("", 1, {}), []
    reader = _Reader()
    return reader.read(root, "", 0), reader.problems


class _Reader:
    def __init__(self) -> None:
        self.problems: list[ManifestProblem] = []
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: str, depth: int) -> Located:
        line = node.start_mark.line + 1
        refusal = self._refusal(node, depth)
        if refusal:
            self.problems.append(ManifestProblem(line, path, refusal))
            return Located(path, line, None)
        if isinstance(node, yaml.MappingNode):
            return Located(path, line, dict(self._entries(node, path, depth)))
        if isinstance(node, yaml.SequenceNode):
            items = [self.read(each, f"{path}[{number}]", depth + 1) for number, each in enumerate(node.value)]
            return Located(path, line, items)
        text = str(node.value)
        return Located(path, line, text if _is_text(node) else resolve_plain(text))

    def _refusal(self, node: yaml.Node, depth: int) -> str:
        if depth > DEPTH_MAX:
            return f"it is nested more than {DEPTH_MAX} levels deep"
        if node.tag not in _TAGS:
            return f"tags are not supported: {node.tag}"
        if not isinstance(node, yaml.ScalarNode):
            if id(node) in self._seen:
                return "references to an anchor are not supported: write it out"
            self._seen.add(id(node))
        return ""

    def _entries(self, node: yaml.MappingNode, path: str, depth: int) -> Iterator[tuple[str, Located]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(ManifestProblem(line, path, "a key is text"))
                continue
            key = str(key_node.value)
            place = f"{path}.{key}" if path else key
            if key in seen:
                self.problems.append(ManifestProblem(line, place, "this key is given twice"))
                continue
            seen.add(key)
            located = self.read(value_node, place, depth + 1)
            # A nested block begins on the line after its key; the key's line is where people look.
            yield key, Located(place, line, located.value)


def resolve_plain(text: str) -> Scalar:
    """What an unquoted scalar means."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text.startswith(("0x", "0o")) else int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _is_text(node: yaml.Node) -> bool:
    """Whether a scalar is quoted, or a block."""
    return bool(getattr(node, "style", None))
