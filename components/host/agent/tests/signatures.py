"""Signatures for tests, made once with gpg: of two keys, one of which stands in for Amazon's."""

import base64

#: The key that stands in for Amazon's.
FINGERPRINT = "3D6FBF82DA25E4B3F505178FA7D0FD05D9DE610E"

#: Both keys.
KEYS = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEXgvhABYJKwYBBAHaRw8BAQdAT2bZiIJGYmTz4UGrkGHI3oEozlDLX23CnlTD
F4g4Rg60HVRlc3Qgb2YgeHNjaGVkLXRyaXRvbjogQW1hem9uiJAEExYIADgWIQQ9
b7+C2iXks/UFF4+n0P0F2d5hDgUCXgvhAAIbAwULCQgHAgYVCgkICwIEFgIDAQIe
AQIXgAAKCRCn0P0F2d5hDsSCAP9F/jnUAqFP5XmbAi6qPJ0XOnR7o2hlNBv7Zdje
zdkMowD+M6gGk4JUDqtgevWbBWdSnZqY/3VFr17j02wgHPhHwQqYMwReC+EAFgkr
BgEEAdpHDwEBB0Bm6TwQGDufpbfgOiYpZBU7DAz0/XLI6QvRNCgW/tjofLQcVGVz
dCBvZiB4c2NoZWQtdHJpdG9uOiBPdGhlcoiQBBMWCAA4FiEEJ4rlM+qlBxiZ9RVG
IIGk1U0uTfgFAl4L4QACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQIIGk
1U0uTfiK3gEA4uzkEFutwrCQFnJEnkIoV8Ga5YFWo0wDv4/jw+BpiZMA/RP1hCW7
4MqErC4YMZRmHoXbKavgwbaKEMLJR1GSAOAD
=06gI
-----END PGP PUBLIC KEY BLOCK-----
"""

#: Of the text "a package", by the key that stands in for Amazon's.
PACKAGE = base64.b64decode(
    "iHUEABYIAB0WIQQ9b7+C2iXks/UFF4+n0P0F2d5hDgUCXgvhAAAKCRCn0P0F2d5hDpU0AP9LpdDxBVrI7fwOblpUML"
    "AW8sVubkoxjg3gt6lAfM94sgD/etuA4dtgMG2Mzi0oN81T3dv8s3JVP+LZjMZCdSp75wM="
)

#: Of the text "something else", by the same key.
SOMETHING_ELSE = base64.b64decode(
    "iHUEABYIAB0WIQQ9b7+C2iXks/UFF4+n0P0F2d5hDgUCXgvhAAAKCRCn0P0F2d5hDmT7AQDYrA5/ldafvYci6EuZIw"
    "4NmaN+QV/CnTEktBnnIh2SvAD/RgmcKhaotF5DxN7gLBoc9/OuDd2aqo2UwcJj95iVtwA="
)

#: Of the text "a package", by the other key.
BY_ANOTHER_KEY = base64.b64decode(
    "iHUEABYIAB0WIQQniuUz6qUHGJn1FUYggaTVTS5N+AUCXgvhAAAKCRAggaTVTS5N+LsJAQCPxyWN1iGUGrxRLiH69f"
    "It/3WX4dd1zXHJc0gcAr5y2QEAkuYupOx+MWgfmP5Ad0wqXGuWde1Zjly4HZVFkYu/dgM="
)
