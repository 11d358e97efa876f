#!/usr/bin/env python3
"""Runs one house check over the checkout: prints each finding as file:line with its mend, and exits 1 if there is one.

usage: run.py CHECK [--root DIR] [--cache FILE] [compiler flags...]
"""

import argparse
import importlib
import pathlib
import sys

CHECKS = ("layers", "clock", "headers", "docs", "hygiene")


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--cache", type=pathlib.Path, help="headers: where to remember what passed")
    parser.add_argument("--compiler", default="clang++-19")
    options, flags = parser.parse_known_args(arguments)
    module = importlib.import_module(options.check)
    if options.check == "headers":
        findings = module.check(options.root, compiler=options.compiler, flags=flags, cache=options.cache)
    else:
        findings = list(module.check(options.root))
    for finding in findings:
        print(finding)
    print(f"{options.check}: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
