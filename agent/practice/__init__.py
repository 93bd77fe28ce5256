"""Experience that nobody asked for: exploring, and finding out by experiments what actions need."""
