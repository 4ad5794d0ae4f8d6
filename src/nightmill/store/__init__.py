"""Tables, blobs and the ledger, on SQLite or PostgreSQL. Takes: facts. Gives: rows."""
