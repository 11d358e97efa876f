"""What the house checks share: walking the tree, reading C++ without its comments, and a finding that names its mend."""

import dataclasses
import pathlib
import re

CPP = (".cpp", ".hpp")
# Build output and downloads; everything else in the checkout is ours to check.
SKIPPED = {"build", ".cache", ".git", "__pycache__"}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    what: str
    mend: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.what}. {self.mend}."


def files(root, folder, suffixes):
    """Every file below root/folder with one of the suffixes, as paths relative to root, sorted."""
    found = []
    pending = [pathlib.Path(root) / folder]
    while pending:
        directory = pending.pop()
        if not directory.is_dir():
            continue
        for entry in directory.iterdir():
            if entry.is_dir():
                if entry.name not in SKIPPED and not entry.is_symlink():
                    pending.append(entry)
            elif entry.name.endswith(suffixes):
                found.append(entry.relative_to(root))
    return sorted(found)


def read(root, path):
    # Bytes first: reading as text would hide carriage returns.
    return (pathlib.Path(root) / path).read_bytes().decode("utf-8", errors="replace")


_NOT_CODE = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def code_only(text, keep_strings=False):
    """The text with comments (and string literals, unless kept) blanked, line numbers unchanged."""

    def blank(match):
        piece = match.group(0)
        if keep_strings and not piece.startswith("/"):
            return piece
        return re.sub(r"[^\n]", " ", piece)

    return _NOT_CODE.sub(blank, text)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def includes(text):
    """(line, name, quoted) of every #include, in order."""
    code = code_only(text, keep_strings=True)
    return [
        (code.count("\n", 0, match.start()) + 1, match.group(1) or match.group(2), match.group(1) is not None)
        for match in _INCLUDE.finditer(code)
    ]
