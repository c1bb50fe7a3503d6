"""What mail is: values and pure functions."""
