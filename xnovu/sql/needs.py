"""Which functions each stage, the transport and the command call; and how each changes nothing."""

from collections.abc import Mapping

NOBODY = "00000000-0000-0000-0000-000000000000"
"""A token that no claim and no sender has."""
TIMES = "lease_seconds => 1, settle_seconds => 1, hold_seconds => 1"

ALWAYS: Mapping[str, str] = {"state": "", "aside": ""}
NEEDS: Mapping[str, Mapping[str, str]] = {
    "ingest": {
        "next_due": "",
        "claim": f"max_rows => 0, lease_seconds => 1, token => '{NOBODY}', handover_seconds => 1",
        "claim_retractions": f"max_rows => 0, lease_seconds => 1, token => '{NOBODY}'",
        "release": "keys => '[]'",
        "told": "keys => '[]'",
        "untold": "most => 0",
    },
    "hydrate": {"load_rows": "keys => '[]'"},
    "trigger": {
        "begin_send": f"keys => '[]', token => '{NOBODY}', {TIMES}",
        "end_send": f"keys => '[]', token => '{NOBODY}'",
    },
    "status": {"record": "outcomes => '[]'", "set_aside": ""},
    "retract": {
        "begin_retraction": "keys => '[]', settle_seconds => 1, hold_seconds => 1",
        "record_retractions": "outcomes => '[]'",
        "set_aside": "",
    },
    "transport": {
        "open_mailbox": "",
        "publish_messages": "messages => '[]'",
        "take_messages": f"mailbox => '', token => '{NOBODY}', most => 0, lease_seconds => 1",
        "keep_messages": "mailbox => '', tokens => '[]', lease_seconds => 1",
        "settle_messages": f"mailbox => '', token => '{NOBODY}', fates => '[]'",
        "pause_mailbox": "mailbox => '', seconds => NULL",
        "mailboxes": "names => '[]'",
        "tidy_messages": "older_seconds => 0, most => 0",
    },
    "command": {
        "enqueue": "notifications => '[]'",
        "failed": "max_rows => 1",
        "history": "notification_id => 0",
        "limit_enterprise": "",
        "limit_workflow": "",
        "limits": "",
        "note_operation": "who => 'xnovu', what => 'config check', affected => 0, details => '{}'",
        "redrive": "keys => '[]'",
        "retract": "keys => '[]'",
        "waiting": "notification_id => 0",
        "workflows": "of_enterprise => NULL, skip => 0, most => 1",
    },
}
"""By stage and function the arguments; empty where only the right to call it is looked at."""
TRIED = frozenset({"state", "aside", "next_due", "limits"})
"""Functions that are called without an argument."""
