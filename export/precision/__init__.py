"""FP16 and INT8 graphs of a bundle: made here, proved by :mod:`edgeirf.calib.gate.gate`."""
