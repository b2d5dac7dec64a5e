"""What a view keeps of each opportunity and of each conversion of its lead."""


class Deal:
    """One opportunity of a lead."""

    __slots__ = (
        "amount",
        "changed",
        "close_date",
        "closed_at",
        "competitor",
        "conversion",
        "created_at",
        "currency",
        "is_won",
        "n",
        "name",
        "owner",
        "product",
        "reason",
        "stage_name",
        "status",
        "written",
    )

    def __init__(self, n: int, name: str, created_at: int) -> None:
        self.n = n
        self.name = name
        self.created_at = created_at
        self.status = "open"
        self.amount: int | None = None
        self.currency: str | None = None
        self.product: str | None = None
        self.stage_name: str | None = None
        self.close_date: str | None = None
        """The day on which it is expected to close."""
        self.closed_at: int | None = None
        self.owner: str | None = None
        self.reason: str | None = None
        self.competitor: str | None = None
        self.conversion: Conversion | None = None
        """The conversion of kind opportunity, which follows the amount."""
        self.is_won = False
        """Whether it was ever won: a deal is won once."""
        self.changed = True
        self.written = False


class Conversion:
    """One conversion of a lead."""

    __slots__ = ("amount", "at", "currency", "cycle", "kind", "n", "opportunity", "written")

    def __init__(self, n: int, kind: str, at: int, cycle: int) -> None:
        self.n = n
        self.kind = kind
        self.at = at
        self.cycle = cycle
        self.opportunity: str | None = None
        self.amount: int | None = None
        self.currency: str | None = None
        self.written = False
