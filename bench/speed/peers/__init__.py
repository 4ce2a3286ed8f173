"""
The same work with others' job queues, as their users would write it: a job for each row.

Each module is two programs: ``worker`` works until it is killed, and ``producer`` reads lines of
row ids (JSON), makes their jobs and answers each line with one. A job reads its row, triggers the
workflow at Novu and sets the row to SENT.
"""
