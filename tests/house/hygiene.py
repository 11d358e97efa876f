"""Small habits that cost nothing to keep and much to restore."""

import pathlib
import re

from source import CPP, Finding, code_only, files, read

FOLDERS = ("src", "tests", "examples", "fuzz", "bench", "tools", "cmake", "docs", "web", ".ci")
TEXT = CPP + (".py", ".sh", ".txt", ".cmake", ".md", ".yaml", ".json", ".sql", ".html", ".js", ".css")
LINES_MAX = 700

# Spelled in two pieces, or this file would find itself.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
SWITCHED_OFF = re.compile(r"\bDISABLED" + r"_\w+")
CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


def check_text(path, text):
    where = lambda position: text.count("\n", 0, position) + 1
    for match in UNFINISHED.finditer(text):
        yield Finding(path, where(match.start()), f"{match.group(1)} is a promise nobody keeps",
                      "Do it, or say in the comment what is absent and why")
    for match in CONFLICT.finditer(text):
        yield Finding(path, where(match.start()), "a merge conflict is left in", "Resolve it")
    if "\r" in text:
        yield Finding(path, where(text.index("\r")), "carriage return", "Save the file with plain line feeds")
    if text and not text.endswith("\n"):
        yield Finding(path, text.count("\n") + 1, "no newline at the end of the file", "Add one")
    if not path.endswith(".md"):  # two blanks at a line's end are Markdown for a line break
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield Finding(path, number, "trailing blanks", "Remove them")


def check_cpp(path, text):
    for match in SWITCHED_OFF.finditer(code_only(text)):
        yield Finding(path, text.count("\n", 0, match.start()) + 1, f"{match.group(0)} is a test switched off",
                      "Mend it or remove it")
    if "\t" in code_only(text):
        yield Finding(path, text.count("\n", 0, code_only(text).index("\t")) + 1, "a tab in C++ source", "Run ./dev fmt")
    if path.endswith(".hpp"):
        if "#pragma once" not in text:
            yield Finding(path, 1, "no #pragma once", "Add it after the opening comment")
        if path.startswith("src/") and not text.startswith("//"):
            yield Finding(path, 1, "the header does not open with what it is", "Begin with a comment: what, why, what it never does")
    if path.startswith("src/") and text.count("\n") > LINES_MAX:
        yield Finding(path, LINES_MAX + 1, f"{text.count(chr(10))} lines, over {LINES_MAX}",
                      "Lift a decision out as a file of its own")


def check(root):
    licence = pathlib.Path(root) / "LICENSE"
    words = licence.read_text(encoding="utf-8") if licence.is_file() else ""
    if "Apache License" not in words or "Version 2.0" not in words:
        yield Finding("LICENSE", 1, "the licence is not here, or not Apache-2.0", "Restore it")
    paths = [path for folder in FOLDERS for path in files(root, folder, TEXT)]
    paths += [path.relative_to(root) for name in ("dev", "*.md", "CMakeLists.txt", "CMakePresets.json")
              for path in pathlib.Path(root).glob(name)]
    for path in paths:
        if path.parts[:2] == ("fuzz", "corpus"):  # hostile on purpose
            continue
        text = read(root, path)
        yield from check_text(str(path), text)
        if path.suffix in CPP:
            yield from check_cpp(str(path), text)
