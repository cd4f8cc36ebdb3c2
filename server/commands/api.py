"""`lianmu api`"""

from __future__ import annotations

import sys

import click

from server.api.routes import AREAS, document_json


@click.command("api", epilog="Example: lianmu api --openapi > openapi.json")
@click.option("--openapi", is_flag=True, help="The OpenAPI 3.1 document, as a server shows it.")
def api(openapi: bool) -> None:
    """List the operations of the HTTP API, or print its OpenAPI document.

    A running server shows the document at /api/openapi.json. It follows from the
    code and needs no configuration.
    """
    if openapi:
        sys.stdout.buffer.write(document_json())
        sys.stdout.buffer.flush()
        return
    preferred = [each for area in AREAS for each in area.operations if not each.replaced_by]
    width = max(len(each.path) for each in preferred)
    for each in preferred:
        click.echo(f"{each.method:6}  {each.path:{width}}  {each.summary}")
