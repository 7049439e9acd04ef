"""PyTorch: frozen backbone, noise network, DDPM training."""
