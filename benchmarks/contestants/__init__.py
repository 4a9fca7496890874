"""What is measured: each contestant is a process with a database, and with packages of its own."""
