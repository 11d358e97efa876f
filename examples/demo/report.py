"""What the plays came to: the promises checked, the comparison for people, the report for machines."""


def promises(scene, fault):
    """[(what was promised, whether it held)] of one scene's two plays."""
    with_it = scene["foreshadow"]
    kept = [
        ("no client saw a failure", with_it["failed"] == 0),
        ("no acknowledged write was lost", with_it["writes_lost"] == 0),
        ("no write was doubled", with_it["writes_doubled"] == 0),
    ]
    if fault:
        return [
            ("the control died of the fault", scene["control"]["failed_at_s"] is not None),
            ("the handover was over before the predicted failure came",
             with_it["lead_s"] is not None and with_it["lead_s"] > 0),
            *kept,
        ]
    return [
        ("the control lived", scene["control"]["failed"] == 0),
        ("nothing was handed over", with_it["handover_at_s"] is None),
        *kept,
    ]


def make_report(scenes, fault):
    for scene in scenes:
        scene["promises"] = {what: held for what, held in promises(scene, fault)}
        control, with_it = scene["control"]["failed_at_s"], scene["foreshadow"]["handover_at_s"]
        # Beside lead_s, which rests on the counterfactual: the same against the control's death.
        scene["lead_on_control_s"] = round(control - with_it, 3) if control is not None and with_it is not None else None
    return {"ok": bool(scenes) and all(all(scene["promises"].values()) for scene in scenes), "fault": fault, "scenes": scenes}


def _s(value):
    return "-" if value is None else f"{value:.1f} s"


def comparison(scene):
    """The table at the end of one scene, as lines."""
    control, with_it = scene["control"], scene["foreshadow"]
    counterfactual = with_it["counterfactual"]
    rows = [
        ("", "control", "with Foreshadow"),
        ("clients' first failure", _s(control["failed_at_s"]), "none" if with_it["failed"] == 0 else "see failed"),
        ("requests", str(control["requests"]), str(with_it["requests"])),
        ("failed", str(control["failed"]), str(with_it["failed"])),
        ("longest answer", f"{control['stall_ms_max']:.0f} ms", f"{with_it['stall_ms_max']:.0f} ms"),
        ("writes acknowledged", "", str(with_it["writes_acknowledged"])),
        ("   lost, doubled", "", f"{with_it['writes_lost']}, {with_it['writes_doubled']}"),
        ("shadow up", "", _s(with_it["shadow_at_s"])),
        ("mirroring", "", _s(with_it["mirror_at_s"])),
        ("gradual shift", "", _s(with_it["shift_at_s"])),
        ("critical", "", _s(with_it["critical_at_s"])),
        ("handed over", "", _s(with_it["handover_at_s"])),
        ("old primary failed", _s(control["failed_at_s"]), f"{_s(counterfactual['failed_at_s'])} ({counterfactual['verdict'] or '-'})"),
        ("lead", "", _s(with_it["lead_s"])),
    ]
    lines = [f"{scene['name']} (seed {scene['seed']})"]
    lines += [f"  {name:<24}{left:>12}{right:>24}" for name, left, right in rows]
    lines += [f"  {'kept  ' if held else 'BROKEN'}  {what}" for what, held in scene["promises"].items()]
    return lines
