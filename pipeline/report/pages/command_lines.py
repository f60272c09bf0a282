"""What the command line of a run says: for other commands about it, and beside that of another run."""

from __future__ import annotations

from collections.abc import Sequence

# Which lake and settings a run works on.
WHERE = ("--landing", "--lake", "--config", "--set")
WHEN = ("--from", "--to", "--date")
# What changes no table.
_OUTPUTS = ("--report", "--result", "--wait")


def options_of(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """The options of a command line with these names, with their values, in order."""
    return [word for option in _split(arguments, names) if option[1] for word in option[0]]


def does_all_of(arguments: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a command line of a job does all that another one of the same job does.

    It says the same but for its outputs, and asks for the same dates or for all.
    """
    apart = (*WHEN, *_OUTPUTS)
    own, others = (
        [word for words, is_named in _split(line, apart) if not is_named for word in words]
        for line in (arguments, wanted)
    )
    return own == others and options_of(arguments, WHEN) in ([], options_of(wanted, WHEN))


def _split(arguments: Sequence[str], names: Sequence[str]) -> list[tuple[list[str], bool]]:
    """The words of a command line; an option with one of these names stands with its value, marked."""
    parts: list[tuple[list[str], bool]] = []
    rest = iter(arguments)
    for word in rest:
        name, equals, _ = word.partition("=")
        is_named = name in names
        parts.append(([word, next(rest, "")] if is_named and not equals else [word], is_named))
    return parts
