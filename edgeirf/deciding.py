"""Which view of a part decides: the one that records and PLCs show."""

from __future__ import annotations

from edgeirf.part import PartVerdict


def deciding_view(verdict: PartVerdict) -> str | None:
    """The name of the view that is least like a good part: the first without a score, else the smallest p-value.

    >>> from edgeirf.verdict import Verdict
    >>> views = {"top": Verdict(False, 12.5, 0.42, 31.0), "side": Verdict(True, 40.0, 0.01, 31.0)}
    >>> deciding_view(PartVerdict(part_id=7, reject=True, reason="inspected", views=views))
    'side'

    Args:
        verdict: on the part; with no view there is None.
    """
    ranks = {name: -1.0 if view.p_value is None else view.p_value for name, view in verdict.views.items()}
    return min(ranks, key=ranks.__getitem__) if ranks else None
