"""The gateway: what clients reach when Triton's own ports stay on loopback."""
