"""History in, rows out: the read models, and the runner that fills them.

``view`` folds one lead, every other module declares a read model: its table with a comment on every
column, and its queries. A row is a function of the facts of its lead alone, whatever the order in
which they arrived; ``runner`` keeps the rows and the position they stand for in one transaction.
"""
