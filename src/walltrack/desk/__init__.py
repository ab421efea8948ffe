"""What the command line asks for, and who answers: this machine's database, or a server."""
