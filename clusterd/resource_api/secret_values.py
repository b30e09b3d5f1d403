"""Which values of a definition are secrets, and how are they shown? Pure.

A value is a secret by its name: a property or an environment variable called password, token, secret and the like, with
all that is below it; an option of a command (`--password=…`, `--password …`) or a setting within a text (`DB_PASSWORD=…`,
`"password": "…"`); the password in an address (`://user:…@`); the rest of an `Authorization:` line; a private key. It is
shown as a word that stands for it. What merely looks like one is covered too: a shown text is for reading.
"""

import re
from collections.abc import Mapping
from typing import Any

SECRET = "(secret)"
_WORDS = r"pass(?:word|wd|phrase)|secret|token|credentials?|(?:api|access|private|secret|encryption)[_-]?key"
_SHORT = r"[_.\-]pass|[_.\-]pwd|(?<![\w.\-])pass"
"""Words too short to be looked for within others, as in bypass."""
_ENDS = rf"(?:{_WORDS})s?|{_SHORT}"
_NAME = re.compile(rf"(?:^|[_.\-]|[a-z])(?:{_WORDS})s?$|(?:{_SHORT})$", re.IGNORECASE)
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'"
_WHOLE_OPTION = re.compile(rf"^(--?[\w.\-]*(?:{_ENDS}))=(.+)$", re.IGNORECASE | re.DOTALL)
_OPTION_ALONE = re.compile(rf"^--?[\w.\-]*(?:{_ENDS})$", re.IGNORECASE)
_WHOLE_SETTING = re.compile(rf"^([\w.\-]*(?:{_ENDS}))=(.+)$", re.IGNORECASE | re.DOTALL)
# What is looked for within long texts has no part that could be tried again at every place: bounded, or anchored by a word.
_OPTION_INSIDE = re.compile(rf"((?:^|\s)--?[\w.\-]{{0,40}}(?:{_ENDS})\s{{1,8}})({_QUOTED}|[^\s\-]\S*)", re.IGNORECASE)
_SETTING_INSIDE = re.compile(rf"((?:{_ENDS})=)({_QUOTED}|[^\s,;&]+)", re.IGNORECASE)
_KEY_INSIDE = re.compile(rf"((?:{_ENDS})[\"']\s{{0,8}}:\s{{0,8}})({_QUOTED}|[^\s,}}\]]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"(://[^/\s:@]{0,64}:)([^\s\"']{1,128})(@)")
_AUTHORIZATION = re.compile(r"(\bauthorization\s{0,8}:\s{0,8})([^\r\n\"']+)", re.IGNORECASE)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
_HINT = re.compile("pass|pwd|secret|token|credential|key|authorization|://", re.IGNORECASE)
"""In every text that has a secret: most have none, and are looked through once."""
_INSIDE = (_OPTION_INSIDE, _SETTING_INSIDE, _KEY_INSIDE, _AUTHORIZATION)
_NAME_KEYS, _VALUE_KEY = ("name", "key"), "value"


def is_secret_name(name: str) -> bool:
    return bool(_NAME.search(name))


def shown(value: Any, name: str = "") -> Any:
    """The value as anybody may see it. What is below a secret's name is secret."""
    if isinstance(value, Mapping):
        own = _named_by(value)
        return {
            key: shown(each, own if own and key == _VALUE_KEY else name_below(name, str(key)))
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown_item(value[at - 1] if at else None, each, name) for at, each in enumerate(value)]
    if is_secret_name(name) and value not in (None, "") and not isinstance(value, bool):
        return SECRET
    return shown_text(value) if isinstance(value, str) else value


def shown_text(text: str) -> str:
    """A text without the secrets in it: a word of a command, a line for a shell, a document."""
    if not _HINT.search(text):
        return text
    for whole in (_WHOLE_OPTION, _WHOLE_SETTING):
        if found := whole.match(text):
            return f"{found[1]}={SECRET}"
    text = _PRIVATE_KEY.sub(SECRET, text)
    for inside in _INSIDE:
        text = inside.sub(lambda found: found[1] + SECRET, text)
    return _ADDRESS.sub(lambda found: f"{found[1]}{SECRET}{found[3]}", text)


def name_below(name: str, key: str) -> str:
    """The name by which the value under `key` is judged, within a value of that name."""
    return name if is_secret_name(name) else key


def _named_by(value: Mapping[Any, Any]) -> str:
    """Of a pair as `name: DB_PASSWORD, value: …`: the name, where it is a secret's."""
    names = [value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)]
    return next((each for each in names if is_secret_name(each)), "")


def _shown_item(before: Any, value: Any, name: str) -> Any:
    if isinstance(value, str) and isinstance(before, str) and _OPTION_ALONE.match(before):
        return SECRET
    return shown(value, name)
