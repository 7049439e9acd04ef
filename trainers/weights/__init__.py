"""Vendored backbone weights, checked by SHA-256. Licence and origin: LICENSE and NOTICE in this folder."""
