"""Rounds numbers that readers add up or compare, in worksheets, plots and the tutorial.

All other numbers are formatted without this module.
"""

from decimal import ROUND_HALF_UP, Context, Decimal

EXACT = Context(prec=400, rounding=ROUND_HALF_UP)  # enough digits for every float


def rounded(value: float | Decimal, decimals: int = 4) -> Decimal:
    """Round to the nearest decimal number; round ties away from zero.

    `rounded` in display.js does the same. Sums of decimal numbers are exact.
    """
    result = Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=EXACT)
    return result or abs(result)  # never -0.0000


def significant(value: float | Decimal) -> Decimal:
    """Round a value to 8 significant digits."""
    return Decimal(f"{value:.7e}")
