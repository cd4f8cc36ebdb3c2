"""The HTTP API: operations declared once, from which routes and the OpenAPI document are made."""
