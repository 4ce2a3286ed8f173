"""Consumers: what other people's code does with the pipeline's events, beside the pipeline."""
