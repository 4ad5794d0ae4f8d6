"""Tables, blobs and the ledger, on SQLite or PostgreSQL. Takes: facts. Gives: rows."""

from nightmill.store.blobs import Blobs
from nightmill.store.chain import Broken
from nightmill.store.database import AWAY, Database
from nightmill.store.ledger import Entry, Ledger
from nightmill.store.questions import Question, Questions
from nightmill.store.runs import Run, Runs, Wanted, Wish
from nightmill.store.workers import Worker, Workers

__all__ = [
    "AWAY",
    "Blobs",
    "Broken",
    "Database",
    "Entry",
    "Ledger",
    "Question",
    "Questions",
    "Run",
    "Runs",
    "Wanted",
    "Wish",
    "Worker",
    "Workers",
]
