"""What the documentation points at is there: links, headings, source paths and ./dev commands."""

import pathlib
import re

from source import Finding, files, read

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\./dev ([a-z]+)")
OUR_PATH = re.compile(r"`((?:src|tests|docs|tools|examples|cmake|fuzz|bench|web)/[\w./+-]*)`")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def anchors(text):
    """The fragments that a Markdown page's headings give, in the form repository hosts use."""
    found, seen = set(), {}
    for title in HEADING.findall(without_fences(text)):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found


def without_fences(text):
    """Code blocks blanked, lines kept: what they show need not exist."""
    return re.sub(r"^```.*?^```", lambda block: re.sub(r"[^\n]", " ", block.group(0)), text, flags=re.DOTALL | re.MULTILINE)


def check_page(root, path):
    text = read(root, path)
    prose = without_fences(text)
    root = pathlib.Path(root)
    line_of = lambda match: prose.count("\n", 0, match.start()) + 1
    for match in LINK.finditer(prose):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, fragment = target.partition("#")
        page = (root / path).parent / name if name else root / path
        if not page.exists():
            yield Finding(str(path), line_of(match), f"the link to {target} leads nowhere", "Correct it or write the page")
        elif fragment and page.suffix == ".md" and fragment not in anchors(page.read_text(encoding="utf-8")):
            yield Finding(str(path), line_of(match), f"{name or 'this page'} has no heading #{fragment}", "Correct the fragment")
    for match in OUR_PATH.finditer(prose):
        if not (root / match.group(1)).exists():
            yield Finding(str(path), line_of(match), f"`{match.group(1)}` is not in the tree", "Name what is there")
    for match in COMMAND.finditer(text):
        if not (root / "tools/commands" / f"{match.group(1)}.sh").is_file() and match.group(1) != "help":
            yield Finding(str(path), text.count("\n", 0, match.start()) + 1, f"./dev has no command {match.group(1)}",
                          "Run ./dev for the list")


def check(root):
    pages = [path for path in pathlib.Path(root).glob("*.md")]
    for path in sorted(page.relative_to(root) for page in pages) + files(root, "docs", (".md",)):
        yield from check_page(root, path)
