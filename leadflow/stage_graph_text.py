"""The graph of stages as text that other programs draw: Graphviz and Mermaid."""

from collections.abc import Iterator
from typing import Any, Final

from leadflow.instants import duration_text

_START: Final = "start"


def dot(document: dict[str, Any]) -> str:
    """Return the graph of `stage-graph` in Graphviz's language; backward edges are dashed."""
    lines = [
        "digraph stages {",
        "  rankdir=LR;",
        "  node [shape=box];",
        f"  {_START} [shape=point];",
    ]
    lines += [
        f'  {one["stage"]} [label="{one["stage"]}\\n{_node(one)}"];' for one in document["nodes"]
    ]
    for one in document["edges"]:
        style = ", style=dashed, constraint=false" if one["is_backward"] else ""
        label = "\\n".join(_edge(one))
        lines.append(f'  {one["from"] or _START} -> {one["to"]} [label="{label}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(document: dict[str, Any]) -> str:
    """Return the graph of `stage-graph` in Mermaid's language; backward edges are dotted."""
    lines = ["flowchart LR", f"  {_START}(( ))"]
    lines += [f'  {one["stage"]}["{one["stage"]}<br/>{_node(one)}"]' for one in document["nodes"]]
    for one in document["edges"]:
        arrow = "-.->" if one["is_backward"] else "-->"
        label = "<br/>".join(_edge(one))
        lines.append(f'  {one["from"] or _START} {arrow}|"{label}"| {one["to"]}')
    return "\n".join(lines) + "\n"


def _node(node: dict[str, Any]) -> str:
    return f"{node['entries']:,} in, {node['still_there']:,} there"


def _edge(edge: dict[str, Any]) -> Iterator[str]:
    yield f"{edge['count']:,} ({edge['share_of_exits'] * 100:.0f} %)"
    half = duration_text(edge["dwell_seconds"]["p50"])
    if half is not None:
        yield half
