"""Numbers as text: decimals that add up exactly, and percentages."""


def to_units(value: float, decimals: int = 4) -> int:
    """Return the value in units of its last decimal; these add up exactly."""
    return round(value * float(10**decimals))


def decimal(units: int, decimals: int = 4) -> str:
    """Return a number of units of the last decimal as text."""
    return f"{units / 10**decimals:,.{decimals}f}"


def percent(fraction: float) -> str:
    """Format a fraction; only exact values become 0% or 100%."""
    if 0 < fraction <= 0.005:
        return "<1%"
    return ">99%" if 0.995 <= fraction < 1 else f"{fraction:.0%}"
