"""Rows as people read them. Pure; tested in tests/bench."""

from medians import ratio


def find(rows, case, peer):
    return next((row for row in rows if row["case"] == case and row["peer"] == peer), None)


def _text(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def _line(cells, widths):
    return "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(cells, widths)))


def table(rows, columns, compared):
    """Lines of one case: a row a peer, and in brackets what ours is of theirs in the fields that are `compared`. `columns` are
    (field, title, digits)."""
    ours = next((row for row in rows if row["peer"] == "foreshadow"), None)
    cells = [["", *(title for _, title, _ in columns)]]
    for row in rows:
        line = [row["peer"]]
        for field, _, digits in columns:
            text = _text(row.get(field), digits)
            comparable = ours and row is not ours and field in compared
            share = ratio(ours.get(field), row.get(field)) if comparable else None
            line.append(text if share is None else f"{text} [{share:.2f}]")
        cells.append(line)
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return [_line(line, widths).rstrip() for line in cells]
