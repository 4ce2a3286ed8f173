"""NATS JetStream, by way of FastStream, with a pull loop of our own."""
