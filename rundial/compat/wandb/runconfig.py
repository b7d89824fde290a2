"""`wandb.config`: the run's config by items and by attributes; a key changes only when the call allows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from rundial.compat.wandb.failures import ConfigChangeError
from rundial.signals.configvalue import Cleaner, fields_of

if TYPE_CHECKING:
    import rundial


class Config:
    """The config of one run.

    Args:
        run: The run whose config it is.
        may_change: What a call that does not say means.
    """

    def __init__(self, run: rundial.Run, *, may_change: bool = False) -> None:
        object.__setattr__(self, "_run", run)
        object.__setattr__(self, "_may_change", may_change)

    @property
    def _values(self) -> Any:
        return object.__getattribute__(self, "_run").config

    def __repr__(self) -> str:
        return str(self.as_dict())

    def keys(self) -> Any:
        """Return the names."""
        return [name for name in self._values if name != "_wandb"]

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values."""
        return [(name, self[name]) for name in self.keys()]

    def values(self) -> list[Any]:
        """Return the values."""
        return [self[name] for name in self.keys()]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists with the same values."""
        return dict(self.items())

    def update(self, d: Any = None, allow_val_change: bool | None = None, /, **more: Any) -> None:
        """Set some keys, each as a whole.

        Args:
            d: A mapping, an argparse namespace, a dataclass or a settings object.
            allow_val_change: Whether keys that are set may change.
            **more: `allow_val_change` by name, or further keys.

        Raises:
            ConfigChangeError: A key would change; nothing was set.
        """
        if "allow_val_change" in more:
            allow_val_change = more.pop("allow_val_change")
        self._put({**_fields(d), **more}, allow_val_change)

    def setdefaults(self, d: Any) -> None:
        """Set the keys that are not set."""
        self._put({name: value for name, value in _fields(d).items() if name not in self}, True)

    def update_locked(self, d: Any, user: object = None, _allow_val_change: object = None) -> None:
        """Set keys whatever they were."""
        del user, _allow_val_change
        self._put(_fields(d), True)

    def bind(self, run: Any) -> None:
        """Be the config of another run, of either kind."""
        object.__setattr__(self, "_run", getattr(run, "recorded", run))

    def persist(self) -> None:
        """Do nothing: a change is recorded when it is made."""

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        return value.copy() if isinstance(value, dict) else value

    def __setitem__(self, name: str, value: Any) -> None:
        self._put({name: _friendly(value)}, None)

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self)!r} object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __reduce__(self) -> Any:
        # In a worker, in a checkpoint: the values alone, without the run.
        return dict, (self.as_dict(),)

    def _put(self, values: Mapping[str, Any], may_change: bool | None) -> None:
        known = self._values
        if may_change is None:
            may_change = object.__getattribute__(self, "_may_change")
        if not may_change:
            for name, value in Cleaner().mapping(values).items():
                if name in known and _changes(known[name], value):
                    raise ConfigChangeError(
                        f'Attempted to change value of key "{name}" from {str(known[name])[:80]} to '
                        f"{str(value)[:80]}; if you really want to do this, pass allow_val_change=True to "
                        "config.update()"
                    )
        known.put(dict(values))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.keys()]


def fields_of_config(given: Any) -> dict[str, Any]:
    """Return what `init(config=…)` holds.

    Raises:
        TypeError: It holds no names.
    """
    return _fields(given)


def _changes(known: Any, value: Any) -> bool:
    return bool(known != value and not (known != known and value != value))


def _fields(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    fields = fields_of(given)
    if fields is None:
        fields = _flags(given)
    return {str(name): _friendly(value) for name, value in fields.items()}


def _friendly(value: Any) -> Any:
    """Return a value as W&B writes it where that differs: enums by name, functions in full."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, dict):
        return {name: _friendly(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [_friendly(each) for each in value]
    if callable(value) and hasattr(value, "__name__") and hasattr(value, "__module__"):
        return f"{value.__module__}.{value.__name__}"
    return value


def _flags(given: Any) -> Mapping[str, Any]:
    """Read absl's flags, and whatever else has attributes."""
    tell = getattr(given, "flag_values_dict", None)
    if callable(tell):
        found: Mapping[str, Any] = tell()
        return found
    if isinstance(given, (str, bytes)) or not hasattr(given, "__dict__"):
        raise TypeError(f"a config is a mapping, a namespace or a dataclass, not {type(given).__name__}")
    found = dict(vars(given))
    return found
