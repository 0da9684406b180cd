"""Attention as an array of pixels: which bars of a window each bar looks at, drawn with Pillow alone."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 400  # pixels of the map itself
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 44
ZOOM = 2
FONT_SIZE = 15
PAPER, INK = (255, 255, 255), (60, 60, 60)
FAINT, STRONG = np.array([247.0, 250.0, 255.0]), np.array([8.0, 48.0, 107.0])  # no weight, and the greatest
TICKS = 4


def attention_figure(weights: np.ndarray, title: str) -> np.ndarray:
    """Draw attention weights.

    Args:
        weights: (T, T), from each bar (row, the newest below) to each bar (column, the newest right).
        title: one line above the figure.

    Returns:
        (484, 480, 3) uint8 RGB; the colour goes with the square root, so that small weights are seen.
    """
    width, height = (LEFT + SIZE + RIGHT) * ZOOM, (TOP + SIZE + BOTTOM) * ZOOM
    shade = np.sqrt(weights / max(float(weights.max()), 1e-12))[..., None]
    colours = (FAINT + shade * (STRONG - FAINT)).round().astype(np.uint8)
    image = Image.new("RGB", (width, height), PAPER)
    cells = Image.fromarray(colours).resize((SIZE * ZOOM, SIZE * ZOOM), Image.Resampling.NEAREST)
    image.paste(cells, (LEFT * ZOOM, TOP * ZOOM))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_SIZE * ZOOM)
    draw.text((LEFT * ZOOM, 10 * ZOOM), title, INK, font)
    n = len(weights)
    for back in sorted({round(k * (n - 1) / TICKS) for k in range(TICKS + 1)}):
        at = (SIZE * (n - 1 - back + 0.5) / n) * ZOOM
        label = "now" if back == 0 else f"{back} ago"
        draw.text((LEFT * ZOOM + at, (TOP + SIZE + 6) * ZOOM), label, INK, font, anchor="mt")
        draw.text(((LEFT - 8) * ZOOM, TOP * ZOOM + at), label, INK, font, anchor="rm")
    draw.text(((LEFT + SIZE // 2) * ZOOM, height - 4 * ZOOM), "bars that are looked at", INK, font, anchor="mb")
    return np.asarray(image.resize((width // ZOOM, height // ZOOM), Image.Resampling.LANCZOS))
