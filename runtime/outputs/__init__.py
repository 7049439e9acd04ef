"""Act: signals to the line, a PLC, a broker."""
