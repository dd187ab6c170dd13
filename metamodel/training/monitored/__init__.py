"""What a training records to compare later rows with. It knows nothing of windows, and not how they are judged."""
