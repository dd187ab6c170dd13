"""What a bundle keeps to compare later rows with. It knows no tests, and nothing of windows."""
