"""What the demo's two provisioners share: the contract with Foreshadow, and a note of what each request made.

Foreshadow writes one JSON object to standard input, {"action", "resource", "key", "primary", "instance"?, "serving"?}, and
reads the instance that was made from standard output. The same request always means the same instance: a repeated one finds
what the first one made. Destroying checks that the instance is the one that was made here.
"""

import json
import pathlib
import subprocess
import sys


def _note_path(run_dir, name):
    return pathlib.Path(run_dir) / "provisioned" / f"{name}.json"


def serve(run_dir, shadow, make, destroy):
    """Reads the request and does it. `make(name)` returns an instance: `shadow` for a provision, "<old primary>-rebuilt" for a
    rebuild. `destroy(instance)` returns nothing. Exits with 1 and a line on standard error if something is wrong."""
    try:
        request = json.load(sys.stdin)
        action = request["action"]
        if action == "destroy":
            _destroy(_note_path(run_dir, request["instance"]["id"]), request, destroy)
        elif action in ("provision", "rebuild"):
            name = shadow if action == "provision" else f"{request['instance']['id']}-rebuilt"
            print(json.dumps(_made(_note_path(run_dir, name), request, lambda: make(name))))
        else:
            raise ValueError(f"unknown action {action}")
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets one line and an exit code
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)


def _made(note, request, make):
    if not note.exists():
        instance = make()
        note.parent.mkdir(exist_ok=True)
        unfinished = note.with_suffix(".new")
        unfinished.write_text(json.dumps({"key": request["key"], "instance": instance, "script": sys.argv}))
        unfinished.rename(note)
    made = json.loads(note.read_text())
    if made["key"] != request["key"]:
        raise ValueError(f"{made['instance']['id']} was made under key {made['key']}, not {request['key']}")
    return made["instance"]


def _destroy(note, request, destroy):
    if not note.exists():
        return
    made = json.loads(note.read_text())
    if made["key"] != request["key"]:
        raise ValueError(f"{made['instance']['id']} was made under key {made['key']}, not {request['key']}")
    destroy(made["instance"])
    note.unlink()


def destroy_all(run_dir):
    """At the end of a play: gives back every instance that is still noted, by the same scripts that made them."""
    for note in sorted(pathlib.Path(run_dir).glob("provisioned/*.json")):
        made = json.loads(note.read_text())
        request = {"action": "destroy", "key": made["key"], "instance": made["instance"]}
        subprocess.run([sys.executable, *made["script"]], input=json.dumps(request), text=True)
