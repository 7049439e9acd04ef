"""INT8 quantisers: one file each."""
