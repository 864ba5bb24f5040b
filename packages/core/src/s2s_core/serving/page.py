"""The web page: a form for each endpoint, made from the schema of its question. Scripts and styles lie in `static`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from s2s_core.serving.endpoint import Endpoint, Media

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SUFFIXES = {"audio": "audio/*,.sph,.nist", "image": "image/*"}
LONG = ("text", "prompt")
"""Fields that are written in, rather than chosen or counted."""
WORDS = {"audio": "a recording", "image": "a picture"}


def render(task: str, checkpoint: str, endpoints: Sequence[Endpoint[Any]]) -> str:
    """The page of a model, as HTML.

    Args:
        task: the task's name.
        checkpoint: the checkpoint's name.
        endpoints: what is offered.
    """
    title = f"{task} · {checkpoint}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="static/page.css">'
        '<link rel="icon" href="static/icon.svg">'
        '<script type="module" src="static/page.js"></script></head><body>'
        f"<header><h1>{escape(task)}</h1><p>{escape(checkpoint)}</p></header><main>"
        f"{''.join(_section(endpoint) for endpoint in endpoints)}</main>"
        '<footer><a href="docs">API</a> <a href="openapi.json">openapi.json</a> <a href="health">health</a></footer>'
        "<noscript><p>This page needs JavaScript; the API does not.</p></noscript></body></html>\n"
    )


def _section(endpoint: Endpoint[Any]) -> str:
    name = escape(endpoint.name)
    if isinstance(endpoint.asks, str):
        fields = _file_field(name, endpoint.asks)
    else:
        schema = endpoint.asks.model_json_schema()
        asked = schema["properties"].items()
        texts = [_field(name, key, about) for key, about in asked if key in LONG]
        others = [_field(name, key, about) for key, about in asked if key not in LONG]
        fields = "".join(texts) + (f'<div class="fields">{"".join(others)}</div>' if others else "")
    return (
        f'<section aria-labelledby="{name}-title"><h2 id="{name}-title">{name}</h2><p>{escape(endpoint.summary)}</p>'
        f'<form id="{name}" action="{name}" method="post">{fields}'
        f'<div class="buttons"><button type="submit">{name}</button>'
        f'<span class="status" role="status" aria-live="polite"></span></div></form>'
        f'<output for="{name}" aria-live="polite"></output></section>'
    )


def _file_field(name: str, media: Media) -> str:
    record = '<button type="button" class="record" aria-pressed="false">record</button>' if media == "audio" else ""
    label = f'<label for="{name}-file">Choose {WORDS[media]}, or drop it here</label>'
    return (
        f'<div class="drop" data-media="{media}">{label}'
        f'<input type="file" id="{name}-file" name="file" accept="{SUFFIXES[media]}">{record}'
        '<div class="preview"></div></div>'
    )


def _field(form: str, key: str, about: dict[str, Any]) -> str:
    place, label = f"{form}-{escape(key)}", escape(key.replace("_", " "))
    hint = escape(about.get("description", ""))
    if key in LONG:
        needed = "" if "default" in about else " required"
        return f'<label for="{place}">{label}</label><textarea id="{place}" name="{key}" rows="4"{needed}></textarea>'
    # an optional field is "anyOf" its type and null
    kinds = [one for one in about.get("anyOf", [about]) if one.get("type") != "null"]
    kind, given = kinds[0], about.get("default")
    common = f'id="{place}" name="{key}" title="{hint}"'
    if "enum" in kind or "const" in kind:
        choices = kind.get("enum", [kind.get("const")])
        options = "".join(_option(choice, choice == given) for choice in choices)
        control = f'<select {common} data-kind="string">{options}</select>'
    elif kind["type"] == "boolean":
        control = f'<input type="checkbox" {common} data-kind="boolean"{" checked" if given else ""}>'
    elif kind["type"] in ("integer", "number"):
        step = "1" if kind["type"] == "integer" else "any"
        low, high = kind.get("minimum"), kind.get("maximum")
        limits = "".join(f' {name}="{value}"' for name, value in (("min", low), ("max", high)) if value is not None)
        value = "" if given is None else f' value="{given}"'
        control = f'<input type="number" {common} data-kind="number" step="{step}"{limits}{value}>'
    else:
        control = f'<input {common} data-kind="string" value="{escape(str(given or ""))}">'
    return f'<div><label for="{place}">{label}</label>{control}</div>'


def _option(choice: str, chosen: bool) -> str:
    return f"<option{' selected' if chosen else ''}>{escape(choice)}</option>"
