"""Make sure that the packages beside this one are ours: their names are common words."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOMS: Final = ("domain", "consumers", "projections")


class Shadowed(Exception):
    """Another package has the name of one of ours and is found first."""


def check_rooms() -> None:
    """Make sure that ``domain``, ``consumers`` and ``projections`` are leadflow's own.

    Imports nothing. Raises Shadowed.
    """
    home = Path(__file__).resolve().parents[1]
    for room in ROOMS:
        spec = find_spec(room)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        if any(Path(place).resolve() == home / room for place in places[:1]):
            continue
        found = f"another one is found first at {places[0]}" if places else "it is not found"
        raise Shadowed(
            f"the package {room!r} must be leadflow's own, and {found}; give leadflow an"
            " environment of its own (pipx, uv tool or a container)"
        )
