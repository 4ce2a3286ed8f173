"""Every port in plain Python: what the contracts mean, and something to test with."""
