"""FP16 and INT8 graphs of a bundle: built here, checked by :mod:`edgeirf.calib.gate.gate`."""
