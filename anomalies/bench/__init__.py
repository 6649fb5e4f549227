"""How good the detector is, and what taught it: never imported by the product, only by its commands."""
