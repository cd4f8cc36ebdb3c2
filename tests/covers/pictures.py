"""Pictures for the tests, drawn here."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw


def picture(
    form: str = "JPEG",
    size: tuple[int, int] = (400, 600),
    colour: str = "darkred",
    **options: object,
) -> bytes:
    """A cover: a frame, and a block in its upper left corner."""
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((4, 4, size[0] - 5, size[1] - 5), outline="white", width=3)
    draw.rectangle((0, 0, size[0] // 4, size[1] // 4), fill="blue")
    octets = io.BytesIO()
    image.save(octets, form, **options)  # type: ignore[arg-type]
    return octets.getvalue()
