"""Sources of the C library that edgeirf capi writes out."""
