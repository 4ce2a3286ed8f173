"""The stages of the pipeline, each as a part that any app may serve."""
