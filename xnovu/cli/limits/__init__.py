"""What each enterprise, and each of its workflows, may have."""
