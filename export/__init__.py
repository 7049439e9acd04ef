"""A trained run becomes one ``.irf`` bundle: folded at a fixed timestep, traced, checked, sealed."""
