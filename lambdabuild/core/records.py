"""Frozen values of plain fields: what the package's records are made of.

msgspec makes such a class in a tenth of the time that a dataclass takes. A step of a rule may run on another machine,
which has Python and nothing else: there the same classes are dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from msgspec import Struct, field, to_builtins
    from msgspec.json import encode as to_json
    from msgspec.structs import asdict, astuple, replace
else:
    try:
        from msgspec import Struct, field, to_builtins
        from msgspec.json import encode as to_json
        from msgspec.structs import asdict, astuple, replace
    except ImportError:
        import dataclasses
        import json
        from dataclasses import asdict as to_builtins
        from dataclasses import field, replace

        class Struct:
            def __init_subclass__(cls, frozen=False, order=False, eq=True, dict=False):
                dataclasses.dataclass(frozen=frozen, order=order, eq=eq)(cls)
                cls.__struct_fields__ = tuple(item.name for item in dataclasses.fields(cls))

        def asdict(record):
            return {name: getattr(record, name) for name in record.__struct_fields__}

        def to_json(value, order=None):
            return json.dumps(value, default=asdict, sort_keys=order == "sorted", separators=(",", ":")).encode()

        def astuple(record):
            return tuple(getattr(record, name) for name in record.__struct_fields__)


__all__ = ["Struct", "asdict", "astuple", "field", "replace", "to_builtins", "to_json"]
