"""A page of the good parts that do not look like the others, to be looked at before training again."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import edgeirf
from edgeirf.calib.evaluation.odd_pictures import Examination, OddPicture
from edgeirf.calib.reports.pictures import data_uri
from edgeirf.calib.reports.tables import key_figure
from edgeirf.calib.reports.wording import counted
from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.render.overlay import to_bgr8
from edgeirf.runtime.render.page import PAGE

SHOWN = 60
"""At most so many pictures are drawn."""


def odd_page(examinations: Mapping[str, Examination], pictures: Mapping[Path, Pixels] | None = None) -> str:
    """The page, self-contained; each picture with its p-value and the threshold without it.

    Args:
        examinations: product to what was found among its good parts.
        pictures: pixels ``(H, W, 3)`` BGR of pictures whose files may have moved; the others are read.
    """
    odd = [one for examination in examinations.values() for one in examination.odd]
    advice = (
        "These pictures do not look like the other good parts. If a part is defective, or the picture is spoilt, put "
        "its name into a text file and train again with --exclude FILE. If the part is good, keep it: the line sees "
        "such parts too."
        if odd
        else "All pictures look alike."
    )
    body = [f"<h1>Odd pictures of good parts</h1><p>{escape(advice)}</p>"]
    for product, examination in examinations.items():
        if len(examinations) > 1:
            body.append(f"<h2>{escape(product)}</h2>")
        panels = "".join(panel(one, (pictures or {}).get(one.path)) for one in examination.odd[:SHOWN])
        body.append(f'{_keys(examination)}<div class="panels">{panels}</div>')
    if odd:
        names = "".join(examination.exclude_text() for examination in examinations.values())
        body.append(f"<h3>For --exclude FILE: remove the parts that are good</h3><pre>{escape(names)}</pre>")
    return PAGE.substitute(title="Odd pictures: edgeirf", version=edgeirf.__version__, turbo="", body="\n".join(body))


def _keys(examination: Examination) -> str:
    names = f"{len(examination.odd)} of {examination.count}"
    keys = [
        key_figure("odd pictures", names, "of good parts"),
        key_figure("threshold", f"{examination.threshold:.4g}", "with all pictures"),
        key_figure("threshold without them", f"{examination.threshold_without:.4g}", "a lower one finds more defects"),
    ]
    if examination.escapes is not None and examination.escapes_without is not None:
        keys.append(key_figure("escapes", counted(examination.escapes), "with all pictures"))
        keys.append(key_figure("escapes without them", counted(examination.escapes_without), ""))
    return f'<div class="keys">{"".join(keys)}</div>'


def panel(odd: OddPicture, picture: Pixels | None) -> str:
    """One odd picture, which is read where ``picture`` is None."""
    try:
        frame = read_image(odd.path) if picture is None else picture
        image = f'<img src="{data_uri(to_bgr8(frame))}" alt="">'
    except FrameError:
        image = "<p>cannot be read any more</p>"
    escapes = "" if odd.escapes_without is None else f", {odd.escapes_without.events} escapes"
    return (
        f'<figure class="panel"><div>{image}</div><figcaption><b>{escape(str(odd.path))}</b>'
        f"<span>score {odd.score:.4g}, p {odd.p_value:.1g}; without it: threshold {odd.threshold_without:.4g}{escapes}"
        "</span></figcaption></figure>"
    )
