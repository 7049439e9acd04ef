"""The cache: this user's folder, and files with a checksum."""
