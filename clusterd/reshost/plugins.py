"""Which resource types does this host have? I/O: imports plug-in code.

From the entry-point group `clusterd.resource_types`, and from every *.py file of the plug-in folders, which win over entry
points of the same name. A plug-in that cannot be imported disables only itself; what it said is kept, and is told to
whoever asks for a type that is not there. So does one that ended the host, or held it up, while it was loaded: the host that
comes next passes it over until its file is changed.
"""

import importlib.metadata
import importlib.util
import inspect
import json
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeGuard, TypeVar

from clusterd.adapters.call_record import LOADING, CallRecord
from clusterd.model.ids import name_problem
from clusterd.resource_api import ResourceType, schema_of
from clusterd.wire import host_pb2

T = TypeVar("T")
ENTRY_POINT_GROUP = "clusterd.resource_types"
_VERBS = tuple(
    name
    for name, each in vars(ResourceType).items()
    if (not name.startswith("_") and callable(each)) or name == "examine"
)


@dataclass(frozen=True, slots=True)
class LoadedType:
    """A resource type that can be used."""

    make: type[ResourceType]
    schema: dict[str, Any]
    source: str

    def description(self) -> host_pb2.TypeDescription:
        abilities = ["event"] if self.make.tells_failure else []
        if self.make.control is not ResourceType.control:
            abilities.append("control")
        if self.make.examine.__func__ is not ResourceType.examine.__func__:  # type: ignore[attr-defined]  # a class method
            abilities.append("examine")
        return host_pb2.TypeDescription(
            name=self.make.name,
            version=self.make.version,
            schema_json=json.dumps(self.schema).encode(),
            abilities=[*abilities, *self.make.abilities],
        )


@dataclass(slots=True)
class Plugins:
    """What was found, and what could not be loaded and why."""

    types: dict[str, LoadedType] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, make: type[ResourceType], source: str) -> None:
        problem = _type_problem(make)
        if problem:
            self.troubles.append(f"{source}: {make.__name__}: {problem}")
            return
        schema = schema_of(make.properties, says=make.says, exactly_one=make.exactly_one)
        self.types[make.name] = LoadedType(make, {**schema, **_intervals(make)}, source)

    def unknown(self, name: str) -> str:
        """Why there is no type of that name."""
        known = ", ".join(sorted(self.types)) or "none"
        troubles = f"; plug-ins that failed to load: {'; '.join(self.troubles)}" if self.troubles else ""
        return f"there is no resource type {name} on this node (there is: {known}){troubles}"


class PluginPassedOver(Exception):
    """It was being loaded when an earlier host ended."""


class _Loading:
    """What is loaded is written down first. Without a record nothing is: whoever tries a plug-in by hand sees it crash."""

    def __init__(self, record: CallRecord | None) -> None:
        self._record = record
        self._fatal = {each.verb for each in record.before if each.resource == LOADING} if record is not None else set()

    def load(self, name: str, path: str, load: Callable[[], T]) -> T:
        """Raises what loading raises, and PluginPassedOver."""
        key = f"{zlib.crc32(name.encode()):08x} {_changed_ns(path)}"
        if self._record is None:
            return load()
        if key in self._fatal:
            self._record.began(LOADING, key)  # for the host after this one
            raise PluginPassedOver(
                "it ended or held up the resource host while it was loaded; change it to have it tried again"
            )
        with self._record.during(LOADING, key):
            return load()


def _changed_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns if path else 0
    except OSError:
        return 0


def load_plugins(folders: Sequence[str], record: CallRecord | None = None) -> Plugins:
    found, loading = Plugins(), _Loading(record)
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            loaded = loading.load(f"entry point {entry_point.value}", "", entry_point.load)
        except Exception as error:  # the boundary to plug-in code
            found.troubles.append(f"entry point {entry_point.name}: {type(error).__name__}: {error}")
            continue
        if isinstance(loaded, type) and issubclass(loaded, ResourceType):
            found.add(loaded, f"entry point {entry_point.name}")
        else:
            found.troubles.append(f"entry point {entry_point.name}: it is no ResourceType but {loaded!r}")
    for folder in folders:
        _load_folder(folder, found, loading)
    return found


def _load_folder(folder: str, found: Plugins, loading: _Loading) -> None:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        found.troubles.append(f"plug-in folder {folder}: {error.strerror}")
        return
    if problem := _strangers_write(folder):
        found.troubles.append(f"plug-in folder {folder}: {problem}")
        return
    if problem := _strangers_write_beside(folder, names):
        found.troubles.append(f"plug-in folder {folder}: {problem}")
        return
    for name in names:
        if name.endswith(".py") and not name.startswith(("_", ".")):
            load_file(os.path.join(folder, name), found, loading)


def load_file(path: str, found: Plugins, loading: _Loading | None = None) -> None:
    """Every ResourceType that the file defines."""
    if problem := _strangers_write(path):
        found.troubles.append(f"{path}: {problem}")
        return
    try:
        module = (loading or _Loading(None)).load(path, path, lambda: _import(path))
    except (Exception, SystemExit) as error:  # the boundary to plug-in code
        found.troubles.append(f"{path}: {type(error).__name__}: {error}")
        return
    classes = [each for each in vars(module).values() if _is_defined_type(each, module)]
    if not classes:
        found.troubles.append(f"{path}: it defines no subclass of clusterd.resource_api.ResourceType")
    for make in classes:
        found.add(make, path)


def _is_defined_type(each: object, module: ModuleType) -> TypeGuard[type[ResourceType]]:
    if not isinstance(each, type) or not issubclass(each, ResourceType):
        return False
    return each.__module__ == module.__name__ and not each.__name__.startswith("_")


def _strangers_write(path: str) -> str:
    """Whose code it would be: what runs here runs with this node's rights."""
    try:
        found = os.stat(path)
    except OSError as error:
        return error.strerror or "it cannot be looked at"
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {found.st_uid}, whose code would run as this node: chown it to this node's user"
    if found.st_mode & stat.S_IWOTH:
        return "everybody may write to it, and it would run as this node: chmod o-w"
    return ""


def _strangers_write_beside(folder: str, names: Iterable[str]) -> str:
    """Plug-ins import what lies beside them, by its name: modules that begin with an underscore, and packages."""
    for name in names:
        path = os.path.join(folder, name)
        is_code = (name.startswith("_") and name.endswith(".py")) or (name.isidentifier() and os.path.isdir(path))
        if is_code and (problem := _strangers_write(path)):
            return f"{name}, which the plug-ins may import: {problem}"
    return ""


def _import(path: str) -> ModuleType:
    """Beside the file lie modules of its own, which it imports by name; what is installed goes before them."""
    name = f"clusterd_plugin_{os.path.basename(path)[:-3]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if (beside := os.path.dirname(os.path.realpath(path))) not in sys.path:
        sys.path.append(beside)
    spec.loader.exec_module(module)
    return module


def _intervals(make: type[ResourceType]) -> dict[str, int]:
    """How often the type wants its resources checked, where that is not the usual."""
    said = {
        "x-looks-alive-poll-interval": (make.looks_alive_interval_ms, ResourceType.looks_alive_interval_ms),
        "x-is-alive-poll-interval": (make.is_alive_interval_ms, ResourceType.is_alive_interval_ms),
    }
    return {key: value for key, (value, usual) in said.items() if value != usual}


def _type_problem(make: type[ResourceType]) -> str:
    problem = name_problem(make.name)
    if problem:
        return f"its name {make.name!r} cannot be used: {problem}"
    missing = [verb for verb in ("online", "offline", "is_alive") if getattr(make, verb) is getattr(ResourceType, verb)]
    if missing:
        return f"it does not implement {', '.join(missing)}"
    asleep = [verb for verb in _VERBS if _returns_at_once(getattr(make, verb))]
    return f"{', '.join(asleep)} would do nothing: calls are plain functions, without async and yield" if asleep else ""


def _returns_at_once(method: Any) -> bool:
    """A coroutine or a generator: calling it runs none of its code."""
    flags = getattr(getattr(inspect.unwrap(method), "__code__", None), "co_flags", 0)
    return bool(flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))
