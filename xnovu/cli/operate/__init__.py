"""What operators do to put right what people or systems did wrong."""
