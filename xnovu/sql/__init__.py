"""The database's part: versioned migrations of the tables and functions in schema `notify`."""
