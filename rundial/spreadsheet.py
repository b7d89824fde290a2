"""Texts in a CSV file that no spreadsheet takes for a formula; numbers are none of its business.

A text that a spreadsheet would run gets an apostrophe before it, and so does one that begins with an
apostrophe: taking one away gives back every text.
"""

from __future__ import annotations

# The last four are the wide forms, which some spreadsheets read like the plain ones.
_UNSAFE = (*"=+-@\t\r\n'", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet runs."""
    return f"'{text}" if text.startswith(_UNSAFE) else text
