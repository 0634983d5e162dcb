"""Interprets the pickles of PyTorch's state dicts without running what they contain.

A pickle is a program, and `pickle.load` runs it. The interpreter here knows only the instructions
that build containers, numbers and strings, and the few names that a state dict mentions. It calls
nothing that the file names, so the worst that can happen with a hostile file is that it is refused.
A pickle of some hundred bytes can build nested tuples that take for ever to hash or to print.
Therefore nothing from a file becomes a key or part of a message unless it is a string or a number.
"""

import pickletools
from collections.abc import Callable
from typing import IO, Any

from jaxstyle._common.reading import Bounded
from jaxstyle.networks.formats.stored import shown
from jaxstyle.networks.formats.tensors import DTYPES, Name, Tensor

# VGG-19's pickle takes 4 kB and some thousand instructions.
MAX_PICKLE = 2**20
_MAX_STEPS = 100_000
# What one instruction copies out of the memory counts too: a few bytes can name a long list again
# and again.
_MAX_ITEMS = 100_000
_MAX_ARGUMENTS = 16


def as_key(value: Any) -> str | int:
    """Returns what may be a key: of these alone it is known that they are quick to hash."""
    if not isinstance(value, str | int):
        raise ValueError(f"a {type(value).__name__} where a name should be")
    return value


def _dict(items: Any = ()) -> dict[str | int, Any]:
    return {as_key(key): value for key, value in items}


_REBUILD: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): Tensor.rebuild,
    ("torch._utils", "_rebuild_tensor_v2"): Tensor.rebuild,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    # Python 2 pickled an ordered dictionary with its items as the only argument of the call.
    ("collections", "OrderedDict"): _dict,
}
_ALLOWED = {
    *_REBUILD,
    *((module, name) for module in ("torch", "torch.cuda") for name in DTYPES),
    *(("torch", name.replace("Storage", "Tensor")) for name in (*DTYPES, "Storage")),
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _allowed(module: Any, name: Any) -> Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("it asks for a function without a name")
    if (module, name) not in _ALLOWED:
        raise ValueError(
            f"it asks for {shown(f'{module}.{name}')}, which no state dict of plain tensors needs "
            "(save model.state_dict() alone)"
        )
    return Name(module, name)


def _reduce(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Name) or function not in _REBUILD:
        raise ValueError("it calls what no state dict needs")
    if not isinstance(arguments, tuple) or len(arguments) > _MAX_ARGUMENTS:
        raise ValueError(f"it calls {function.name} with arguments that it does not take")
    return _REBUILD[function](*arguments)


def interpret(file: IO[bytes], persistent: Callable[[Any], Any] | None = None) -> Any:
    """Returns the value that one pickle builds, and leaves the file after its last instruction.

    Args:
      file: read from where it stands, at most `MAX_PICKLE` bytes.
      persistent: turns what stands for a storage into the storage.

    Raises:
      Exception: of any kind, for a pickle that is damaged or does what no state dict needs.
    """
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[int, Any] = {}
    items_left = _MAX_ITEMS

    def since_mark() -> list[Any]:
        nonlocal stack
        items, stack = stack, marks.pop()
        return items

    bounded: Any = Bounded(file, MAX_PICKLE)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(bounded)):
        if step > _MAX_STEPS:
            raise ValueError(f"its pickle takes more than {_MAX_STEPS:,} instructions")
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case literal if literal in _LITERALS:
                stack.append(argument)
            case constant if constant in _CONSTANTS:
                stack.append(_CONSTANTS[constant])
            case container if container in _EMPTY:
                stack.append(_EMPTY[container]())
            case "MARK":
                marks.append(stack)
                stack = []
            case "TUPLE":
                items = since_mark()
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack[-_TUPLES[opcode.name] :] = [tuple(stack[-_TUPLES[opcode.name] :])]
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = since_mark()
                stack[-1].extend(items)
            case "SETITEM":
                key, value = stack[-2:]
                del stack[-2:]
                stack[-1][as_key(key)] = value
            case "SETITEMS":
                items = since_mark()
                stack[-1].update(_dict(zip(items[::2], items[1::2], strict=True)))
            case "BINPUT" | "LONG_BINPUT":
                memo[int(argument or 0)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(argument or 0)])
            case "GLOBAL":
                stack.append(_allowed(*str(argument).split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_allowed(module, name))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                made = _reduce(function, arguments)
                items_left -= len(made) if isinstance(made, dict) else 0
                if items_left < 0:
                    raise ValueError(f"its dictionaries have more than {_MAX_ITEMS:,} items")
                stack.append(made)
            case "BUILD":
                stack.pop()  # a state dict's version numbers, of no use here
            case "BINPERSID" if persistent:
                saved = stack.pop()
                if isinstance(saved, tuple | list) and len(saved) > _MAX_ARGUMENTS:
                    raise ValueError("it describes a storage in another way than torch.save")
                stack.append(persistent(saved))
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"it uses the pickle instruction {other}")
    raise ValueError("the pickle has no end")
