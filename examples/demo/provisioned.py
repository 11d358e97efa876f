"""What the demo's two provisioners share: the contract with Foreshadow, and a note of what each key made.

Foreshadow writes one JSON object to standard input, {"action", "resource", "key", "primary", "instance"?}, and reads one
from standard output. The same key always means the same instance: a repeated call finds what the first one made. Destroying
checks that the instance is the one this key made.
"""

import json
import pathlib
import subprocess
import sys


def note_path(run_dir, key):
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in key)
    return pathlib.Path(run_dir) / "provisioned" / f"{safe}.json"


def serve(run_dir, plan, provision, destroy):
    """Reads the request and does it. `plan(request)` returns a text, `provision(request)` an instance, `destroy(instance)`
    nothing. Exits with 1 and a line on standard error if something is wrong."""
    try:
        request = json.load(sys.stdin)
        action = request["action"]
        note = note_path(run_dir, request["key"])
        if action == "plan":
            print(json.dumps({"plan": plan(request)}))
        elif action == "provision":
            if not note.exists():
                instance = provision(request)
                note.parent.mkdir(exist_ok=True)
                unfinished = note.with_suffix(".new")
                unfinished.write_text(json.dumps({"instance": instance, "script": sys.argv, "request": request}))
                unfinished.rename(note)
            print(json.dumps(json.loads(note.read_text())["instance"]))
        elif action == "destroy":
            if note.exists():
                made = json.loads(note.read_text())["instance"]
                asked = request.get("instance")
                if asked is not None and asked.get("id") != made["id"]:
                    raise ValueError(f"key {request['key']} made {made['id']}, not {asked.get('id')}")
                destroy(made)
                note.unlink()
            print(json.dumps({"destroyed": True}))
        else:
            raise ValueError(f"unknown action {action}")
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets one line and an exit code
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)


def destroy_all(run_dir):
    """At the end of a play: gives back every instance that is still noted, by the same scripts that made them."""
    for note in sorted(pathlib.Path(run_dir).glob("provisioned/*.json")):
        made = json.loads(note.read_text())
        request = {**made["request"], "action": "destroy", "instance": made["instance"]}
        subprocess.run([sys.executable, *made["script"]], input=json.dumps(request), text=True, stdout=subprocess.DEVNULL)
