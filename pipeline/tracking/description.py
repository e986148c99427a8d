"""The description of a run: a line of links, a text and a list of results, in Markdown.

Runs in the recorder.

A user can edit the description on the run's page. Adding an entry preserves the edits.
A new text, which a sweep writes until the sweep has ended, replaces the whole
description. One tag of the run is the description. Another tag has the entries, which
are the links and the results, so that entries can be replaced.
"""

import json
from collections.abc import Mapping
from contextlib import suppress

from pydantic import TypeAdapter, ValidationError

from pipeline.records.tags import ENTRIES_TAG, MAX_TAG_LENGTH, NOTE_TAG

Entries = dict[str, dict[str, str]]  # the links by key, the results by title
ENTRIES = TypeAdapter(Entries)


def described(
    tags: Mapping[str, str], text: str, links: Mapping[str, str]
) -> dict[str, str]:
    """Return both tags with a new text and more links, for the tags of a run."""
    entries = _entries(tags)
    entries["links"].update(links)
    before, after = (_markdown(kind, entries[kind]) for kind in entries)
    return _as_tags("\n\n".join(filter(None, (before, text, after))), entries)


def extended(
    tags: Mapping[str, str], kind: str, new: Mapping[str, str]
) -> dict[str, str]:
    """Return both tags with new "links" or "results", for the tags of a run.

    If a user has changed the links or results, the changes are kept, and the new
    entries are appended.
    """
    entries, note = _entries(tags), tags.get(NOTE_TAG, "")
    before, padded = _markdown(kind, entries[kind]), f"\n\n{note}\n\n"
    if before and (found := f"\n\n{before}\n\n") in padded:
        if kind == "results":  # new results are last; links keep their order
            for title in new:
                entries[kind].pop(title, None)
        entries[kind].update(new)
        after = f"\n\n{_markdown(kind, entries[kind])}\n\n"
        note = padded.replace(found, after, 1)[2:-2]
    else:
        entries[kind] = {**new}
        note = f"{note}\n\n{_markdown(kind, new)}".strip()
    return _as_tags(note, entries)


def _entries(tags: Mapping[str, str]) -> Entries:
    """Return the entries, the newest last; none if a user's edits are unreadable."""
    found: Entries = {}
    with suppress(ValidationError):
        found = ENTRIES.validate_json(tags.get(ENTRIES_TAG, "{}"))
    return {kind: found.get(kind, {}) for kind in ("links", "results")}


def _as_tags(note: str, entries: Entries) -> dict[str, str]:
    """Return both tags; omit the oldest results if a tag is too long."""
    results = dict(entries["results"])
    while True:
        text = json.dumps({**entries, "results": results}, ensure_ascii=False)
        if max(len(note), len(text)) <= MAX_TAG_LENGTH or len(results) < 2:
            break
        before = _markdown("results", results)
        del results[next(iter(results))]
        note = note.replace(before, _markdown("results", results))
    return {NOTE_TAG: note, ENTRIES_TAG: text}


def _markdown(kind: str, entries: Mapping[str, str]) -> str:
    """Return links as a line, and results as a list that is sorted by title."""
    if kind == "links":
        return " · ".join(entries.values())
    items = sorted(entries.items())  # all accuracies are together
    return "\n".join(f"- **{title}**: {entry}" for title, entry in items)
