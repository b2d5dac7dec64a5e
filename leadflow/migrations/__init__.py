"""How the event store's tables came to be: alembic revisions, oldest first.

Read models are not migrated: a new version is built beside the old one.
"""
