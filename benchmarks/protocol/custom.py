"""Find systems that are not of this suite: entry points `rssam_bench.models`, or classes named `module:Class`.

A declaration is what `rssam.contract.Model` says, and needs no torch: its module should import the network in `build`
and `architecture`, as those in `baselines` do. Importing this module imports no declaration of others.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping

from benchmarks.failures import first_line
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import to_json_value
from data_prep.plugins import Broken, declared, find, load, source
from rssam.contract import Model, Optimisation
from rssam.errors import UnknownName, UserError
from rssam.kinds import COUNT, LINE, LONGEST_TITLE, OPTION, VALUE, Each, Leaf, fault, is_line
from rssam.weights.registry import WEIGHTS

GROUP = "rssam_bench.models"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
LONGEST_SHOWN = 60
OWN_PARTS = (
    "name", "title", "version", "published", "small", "cli_options", "architecture", "build", "weights_needed",
)  # fmt: skip
FIELD = Leaf("the name of an option", lambda value: OPTION.fits(value) and value not in OWN_PARTS)
"""A field that would hide a part of the declaration is no option."""

OPTIONS = Each(FIELD, VALUE)


class NotAModel(UserError):
    """Raised for a class that does not declare a system; the message says what it lacks."""


def find_model(name: str) -> Model:
    """Return the declaration of a system, with default options: of a registered name, or of `module:Class`.

    Registered are `MODELS` and the systems of installed packages. The module of a class is imported, from the working
    folder too, which runs its code. So name only code that you trust, and no name out of a file.

    Raises:
        UserError: There is no such system, and the message lists the choices. Or the class declares no system, or a
            package is broken or declares a name that is taken.

    Examples:
        >>> from benchmarks import find_model
        >>> find_model("sam-lora").weights_needed()
        ('vit_b',)
    """
    return _from_class(name) if ":" in name else registered_model(name)


def registered_model(name: str) -> Model:
    """Return the system of that name, of this suite or of an installed package.

    Raises UnknownName listing the choices, DataError if a package is broken or declares a name that is taken.
    """
    entry = find(GROUP, name, "this suite" if name in MODELS else "")
    if entry is not None:
        model = checked(load(entry), source(entry))
        if model.name != name:
            raise Broken(f"{source(entry)} has the name {model.name}, and is declared as {name}: left out")
        return model
    if name in MODELS:
        return MODELS[name]
    choices = dict.fromkeys((*MODELS, *(other.name for other in declared(GROUP))))
    raise UnknownName(f"unknown system {name!r}: choose from {', '.join(choices)}, or name a class: module:Class")


def model_of_result(name: object, given: Model | None = None, noted: object = None) -> Model:
    """Return the system that a result or an adapter names, without importing what the file says.

    Args:
        name: the name in the file, which may be anything.
        given: the system that the user named with --model; it must have that name.
        noted: the class that the file notes. It is shown in the message and never imported.

    Raises UnknownName if the name is not registered, UserError if `given` is another system.
    """
    if not (isinstance(name, str) and len(name) <= LONGEST_SHOWN and _NAME.fullmatch(name)):
        raise UnknownName(
            f"expected the name of a system, found {_shown(name)}: a file may not name code. If it is a system of "
            "your own, export it again, and name its class with --model module:Class"
        )
    if given is not None:
        if given.name != name:
            raise UserError(f"the result is of the system {name!r}, and --model declares {given.name!r}")
        return given
    if name in MODELS or any(entry.name == name for entry in declared(GROUP)):
        return registered_model(name)
    is_class_name = isinstance(noted, str) and len(noted) <= 2 * LONGEST_SHOWN and _CLASS.fullmatch(noted) is not None
    raise UnknownName(
        f"the result is of the system {name!r}, which is not one of {', '.join(MODELS)}, nor declared by an "
        f"installed package: name its class with --model {noted if is_class_name else 'module:Class'}"
        f"{', which the result notes, if that is your own code' if is_class_name else ''} (see docs/extend.md)"
    )


def _shown(value: object) -> str:
    """Return a value from a file as one printable line of bounded length."""
    text = ascii(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def installed_models() -> tuple[list[Model], list[str]]:
    """Return the systems of all installed packages, and a sentence for each that cannot be had."""
    models, problems = [], []
    for name in dict.fromkeys(entry.name for entry in declared(GROUP)):
        try:
            models.append(find_model(name))
        except UserError as error:
            problems.append(str(error))
    return models, problems


def is_own(model: Model) -> bool:
    """Return whether a system is not of this suite."""
    return type(model) is not type(MODELS.get(model.name))


def checked(declaration: object, origin: str) -> Model:
    """Return the system of a class with its default options. Raises NotAModel saying all that is missing or wrong."""
    if not (isinstance(declaration, type) and dataclasses.is_dataclass(declaration)):
        raise NotAModel(f"{origin} is no frozen dataclass: a system's options are its fields; see docs/extend.md")
    fields = dataclasses.fields(declaration)
    names = [field.name for field in fields]
    faults = [f"it lacks {part}" for part in OWN_PARTS if part != "cli_options" and not hasattr(declaration, part)]
    if not declaration.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        faults.append("it is not frozen")
    if needed := [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]:
        faults.append(f"it has no default for {', '.join(needed)}")
    name, version = getattr(declaration, "name", ""), getattr(declaration, "version", 1)
    if isinstance(name, str) and len(name) > LONGEST_SHOWN:  # a result with a longer name cannot be read
        faults.append(f"its name has {len(name)} characters, at most {LONGEST_SHOWN} are allowed")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        faults.append(f"its name must be of small letters, digits and single hyphens, found {name!r}")
    if not is_line(getattr(declaration, "title", ""), LONGEST_TITLE):
        faults.append(f"its title must be one printable line of at most {LONGEST_TITLE} characters")
    if not (COUNT.fits(version) and version >= 1):
        faults.append(f"its version must be a whole number from 1, found {version!r}")
    if name in MODELS:
        taken = type(MODELS[name])
        faults.append(f"its name {name} is that of a system of this suite, {taken.__module__}:{taken.__qualname__}")
    faults += [words for name in names if (words := fault(name, FIELD, "the name of a field"))]
    small, options = getattr(declaration, "small", {}), getattr(declaration, "cli_options", ())
    if not isinstance(small, Mapping):
        faults.append(f"small must be an object of fields and values, found {_shown(small)}")
    elif unknown_fields := [str(name) for name in small if name not in names]:
        faults.append(f"small names {', '.join(unknown_fields)}, which is not a field of it")
    else:
        faults.append(fault(_plain(small), OPTIONS, "small"))
    if not isinstance(options, tuple | list):
        faults.append(f"cli_options must be a tuple of names, found {_shown(options)}")
    elif unknown_options := [str(name) for name in options if name not in names or name not in ("encoder", "init")]:
        faults.append(f"cli_options names {', '.join(unknown_options)}: choose from its fields encoder and init")
    if not isinstance(getattr(declaration, "published", None), Optimisation | None):
        faults.append("published must be an Optimisation of rssam.contract, or None")
    if faults := list(filter(None, faults)):
        raise NotAModel(f"{origin} does not declare a system: {'; '.join(faults)}. See docs/extend.md")
    try:
        model: Model = declaration()  # type: ignore[assignment]
        hash(model)
    except Exception as error:
        raise NotAModel(
            f"{origin} cannot be made with its defaults, or they are no plain values such as numbers, words and tuples "
            f"of them ({type(error).__name__}: {error})"
        ) from error
    defaults = {name: getattr(model, name) for name in names}
    words = fault(_plain(defaults), OPTIONS, "its defaults")
    for option in options:
        words = words or fault(defaults[option], LINE, f"its defaults.{option}")
    if words:
        raise NotAModel(f"{origin} declares options that no result can hold ({words}). See docs/extend.md")
    if unknown_weights := [weights for weights in model.weights_needed() if weights not in WEIGHTS]:
        raise NotAModel(f"{origin} needs the weights {', '.join(unknown_weights)}: choose from {', '.join(WEIGHTS)}")
    return model


def _plain(options: Mapping[str, object]) -> dict[str, object]:
    return {name: to_json_value(value) for name, value in options.items()}


def _from_class(name: str) -> Model:
    """Return the system of `module:Class`; the module may lie in the working folder. Raises NotAModel."""
    module, _, attribute = name.partition(":")
    try:
        importable = importlib.util.find_spec(module.partition(".")[0]) is not None
    except ValueError:  # what importlib says of an empty name
        importable = False
    if not importable and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that a file there stands in for no installed package
        importlib.invalidate_caches()
    try:
        declaration = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise NotAModel(
            f"expected module:Class of a system, as in mypackage.mymodel:MyNet; {name} cannot be imported "
            f"({type(error).__name__}: {first_line(error)})"
        ) from error
    return checked(declaration, name)
