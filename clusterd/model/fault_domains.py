"""How is it written where a machine stands, and is that acceptable? Pure.

`site:east/rack:r1/chassis:c2`, from the outside in; any of the three may be left out.
"""

from clusterd.model.ids import name_problem

KINDS = ("site", "rack", "chassis")
EXAMPLE = "site:east/rack:r1/chassis:c2"


def fault_domain_problem(text: str) -> str | None:
    """Why `text` is no fault domain; None when it is one. Empty text: nothing is known."""
    place = -1
    for part in text.split("/") if text else ():
        kind, colon, name = part.partition(":")
        kind, name = kind.strip().lower(), name.strip()
        if kind not in KINDS or not colon:
            return (
                f"{part.strip()!r} is no {', '.join(KINDS[:-1])} or {KINDS[-1]} with its name: write it like {EXAMPLE}"
            )
        problem = name_problem(name)
        if problem is not None:
            return f"{kind} {name!r}: {problem}"
        if KINDS.index(kind) == place:
            return f"{kind} is given twice: write it like {EXAMPLE}"
        if KINDS.index(kind) < place:
            return f"{kind} stands inside {KINDS[place]}: write it from the outside in, like {EXAMPLE}"
        place = KINDS.index(kind)
    return None


def site_problem(name: str) -> str | None:
    """Why a site cannot be called `name`; empty text: no site."""
    return name_problem(name) if name else None
