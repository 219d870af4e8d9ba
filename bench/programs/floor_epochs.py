"""What makes an epoch durable and no more: a plan, rows with their marker, a seal, in two SQLite files."""

import sqlite3
import sys

EPOCHS = int(sys.argv[1])

ledger, target = sqlite3.connect("out/ledger.db"), sqlite3.connect("out/out.db")
ledger.execute("pragma journal_mode = wal")
for connection in (ledger, target):
    connection.execute("pragma synchronous = full")
ledger.execute("create table epochs (number integer primary key, ranges text, sealed integer)")
target.execute("create table t (k integer, v text)")
target.execute("create table commits (sink text primary key, epoch integer)")
target.execute("insert into commits values ('one', 0)")
ledger.commit()
target.commit()
for number in range(1, EPOCHS + 1):
    ledger.execute("insert into epochs values (?, '[]', 0)", (number,))
    ledger.commit()
    target.execute("insert into t values (?, 'v')", (number,))
    target.execute("update commits set epoch = ?", (number,))
    target.commit()
    ledger.execute("update epochs set sealed = 1 where number = ?", (number,))
    ledger.commit()
