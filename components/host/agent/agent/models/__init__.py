"""The models of a host: what is stored, and what is served."""
