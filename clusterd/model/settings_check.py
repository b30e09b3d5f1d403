"""Is what an operator wrote for a common property acceptable, and what is stored for it? Pure.

The only way in: unknown names are refused with the nearest valid one, and values become whole numbers in the property's
unit. All problems are found at once. `settings_relations` says what contradicts each other.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clusterd.model.durations import BadDuration, duration_text, parse_duration
from clusterd.model.ids import NAME_LENGTH_MAX
from clusterd.model.records import Json
from clusterd.model.settings_catalogue import ALL_ONES, NOT_YET, Kind, Scope, Setting, settings_of

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_ALL_ONES_TEXTS = frozenset({"-1", "0xffffffff"})  # the reference prints it in both ways


@dataclass(frozen=True, slots=True)
class PropertyProblem:
    """Why a property is refused; `name` as it was written, empty for a relation between several."""

    name: str
    text: str


@dataclass(slots=True)
class CheckedProperties:
    """What would be stored, by snake-case name, and every reason not to."""

    values: dict[str, Json] = field(default_factory=dict)
    problems: list[PropertyProblem] = field(default_factory=list)


def snake_case(name: str) -> str:
    """The reference's spelling in ours: SameSubnetDelay → same_subnet_delay, TCPPort → tcp_port."""
    if "_" in name or name.islower():
        return name.lower()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def find_setting(scope: Scope, name: str) -> Setting | None:
    """The property that `name` means, in either spelling."""
    settings = settings_of(scope)
    return settings.get(name.lower()) or settings.get(snake_case(name))


def nearest(name: str, valid: Iterable[str]) -> str:
    """'did you mean …?' for the closest valid name, or the list of valid ones when nothing is close."""
    names = sorted(valid)
    by_folded = {each.lower(): each for each in names}
    close = difflib.get_close_matches(snake_case(name), by_folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean {by_folded[close[0]]}?"
    return "valid are " + ", ".join(names) if names else "none are valid here"


def unknown_property(scope: Scope, name: str, others: Iterable[str] = ()) -> str:
    """Why a name that is in no catalogue is refused."""
    reason = NOT_YET.get(scope, {}).get(snake_case(name))
    if reason is not None:
        return f"{name} cannot be set: {reason}; leave it out"
    return f"there is no {scope} property {name}: {nearest(name, [*settings_of(scope), *others])}"


def check_properties(scope: Scope, given: Mapping[str, Json]) -> CheckedProperties:
    """Values of common properties alone, each for itself."""
    checked = CheckedProperties()
    for name, value in given.items():
        found = find_setting(scope, name)
        if found is None:
            checked.problems.append(PropertyProblem(name, unknown_property(scope, name)))
        elif found.name in checked.values:
            checked.problems.append(PropertyProblem(name, f"{found.name} is given twice"))
        else:
            try:
                checked.values[found.name] = canonical_value(found, value)
            except BadValue as error:
                checked.problems.append(PropertyProblem(name, str(error)))
    return checked


class BadValue(Exception):
    """A value that the property cannot have; the text says which it can."""


def canonical_value(setting: Setting, value: Json) -> Json:
    """What is stored for `value`. Raises BadValue."""
    match setting.kind:
        case Kind.TEXT:
            return _text(setting, value)
        case Kind.NAMES:
            return _names(setting, value)
        case Kind.SWITCH:
            return _switch(setting, value)
        case Kind.CHOICE:
            return _choice(setting, value)
        case Kind.COUNT | Kind.DURATION:
            return _number(setting, value)


def value_text(setting: Setting, value: Json) -> str:
    """A stored value for people: 900000 → 15min, 0xFFFFFFFF → never."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        word = next((word for word, number in setting.words.items() if number == value), None)
        if word is not None:
            return word
        return duration_text(value, unit=setting.unit) if setting.kind is Kind.DURATION else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(each) for each in value)
    return str(value)


def written_value(setting: Setting, value: Json) -> Json:
    """A stored value as a manifest writes it."""
    is_word = isinstance(value, int) and not isinstance(value, bool) and value in setting.words.values()
    return value_text(setting, value) if setting.kind is Kind.DURATION or is_word else value


def _switch(setting: Setting, value: Json) -> bool:
    text = str(value).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadValue(f"{setting.name} is true or false, not {_shown(value)}")


def _choice(setting: Setting, value: Json) -> str:
    if isinstance(value, str) and value.lower() in setting.choices:
        return value.lower()
    number = int(value[:9]) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, int) and not isinstance(number, bool):
        at = number - setting.first_choice
        if 0 <= at < len(setting.choices):
            return setting.choices[at]
    allowed = ", ".join(f"{each} ({number})" for number, each in enumerate(setting.choices, setting.first_choice))
    raise BadValue(f"{setting.name} is one of {allowed}, not {_shown(value)}")


def _text(setting: Setting, value: Json) -> str:
    if not isinstance(value, str):
        raise BadValue(f"{setting.name} is a text, not {_shown(value)}")
    if len(value) > setting.most:
        raise BadValue(f"{setting.name} has at most {setting.most} characters, not {len(value)}")
    if not value.isprintable():
        raise BadValue(f"{setting.name} has only characters that can be printed, in one line")
    problem = setting.problem(value) if setting.problem is not None else None
    if problem is not None:
        raise BadValue(f"{setting.name}: {problem}")
    return value


def _names(setting: Setting, value: Json) -> list[Json]:
    given = [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(each, str) and each.strip() for each in given):
        raise BadValue(f"{setting.name} is a list of names, not {_shown(value)}")
    if len(given) > setting.most:
        raise BadValue(f"{setting.name} has at most {setting.most} names, not {len(given)}")
    names = [str(each).strip() for each in given]
    for each in names:
        if len(each) > NAME_LENGTH_MAX or not each.isprintable() or "," in each:
            raise BadValue(
                f"{setting.name}: {_shown(each)} is no such name: "
                f"at most {NAME_LENGTH_MAX} characters that can be printed, without commas"
            )
    return list(dict.fromkeys(names))


def _number(setting: Setting, value: Json) -> int:
    has_all_ones = ALL_ONES in setting.words.values()
    if has_all_ones and not isinstance(value, float) and str(value).strip().lower() in _ALL_ONES_TEXTS:
        return ALL_ONES
    number = _plain_number(setting, value)
    if has_all_ones and number == ALL_ONES:
        return number
    if setting.scope is Scope.RESOURCE and setting.name == "is_alive_poll_interval" and number == 1:
        return ALL_ONES  # the reference's other way to say "as the type says"
    if not setting.least <= number <= setting.most:
        least, most = value_text(setting, setting.least), value_text(setting, setting.most)
        raise BadValue(f"{setting.name} is between {least} and {most}, not {_shown(value)}{_effect(setting, number)}")
    return number


def _plain_number(setting: Setting, value: Json) -> int:
    if isinstance(value, str) and value.lower() in setting.words:
        return setting.words[value.lower()]
    words = "".join(f" or {word}" for word in setting.words)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadValue(f"{setting.name} is a {setting.kind}{words}, not {_shown(value)}")
    if setting.kind is Kind.DURATION:
        try:
            return parse_duration(value, unit=setting.unit)
        except BadDuration as error:
            raise BadValue(f"{setting.name}: {error.message}{words}; {error.hint}") from error
    if isinstance(value, str) and re.fullmatch(r"\s*(\d{1,12}|-1)\s*", value):
        return int(value)
    if isinstance(value, int):
        return value
    raise BadValue(f"{setting.name} is a whole number{words}, not {_shown(value)}")


def _effect(setting: Setting, number: int) -> str:
    effect = setting.too_small if number < setting.least else setting.too_large
    return f" ({effect[0].lower()}{effect[1:].rstrip('.')})" if effect else ""


def _shown(value: Json) -> str:
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
