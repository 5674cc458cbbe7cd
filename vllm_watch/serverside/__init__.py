"""What runs on the server's node: the recorder, the stat-logger plug-in, the launcher."""
