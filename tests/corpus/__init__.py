"""A fixed corpus of stored events of every version, and the hashes of what they fold to.

``logs`` holds one small log a file, as the event store holds it; ``policies`` the policies that
they are folded under, so that the default policy may change; ``snapshots.jsonl`` snapshots of
leads; ``recorded.json`` the hashes. CONTRIBUTING.md says how to add a version.
"""
