"""OpenPGP signatures of files, checked with gpgv, on which Debian's apt depends."""

import base64
import binascii
import tempfile
from pathlib import Path

from .programs import call


class SignatureError(Exception):
    """A file does not have the signature that it must have."""


class MissingVerifierError(Exception):
    """This machine cannot check a signature."""


def require_signed(file: Path, signature: Path, keys: Path, fingerprint: str) -> None:
    """
    :param signature: a detached one
    :param keys: public keys, in ASCII or not, from wherever: only the one with the fingerprint counts
    :param fingerprint: of the primary key, 40 hexadecimal digits
    """
    with tempfile.TemporaryDirectory() as folder:
        keyring = Path(folder) / "keyring"
        keyring.write_bytes(unarmored(keys.read_bytes()))
        # Its home folder too: the user's own keys are none of its business.
        found = call(
            [
                "gpgv",
                "--homedir",
                folder,
                "--status-fd",
                "1",
                "--keyring",
                str(keyring),
                str(signature),
                str(file),
            ],
            seconds=120,
        )
    if found.status == 127:
        raise MissingVerifierError(found.reason)
    # Its last field is the primary key's fingerprint:
    # https://github.com/gpg/gnupg/blob/gnupg-2.2.40/doc/DETAILS
    valid = [line.split()[-1] for line in found.out.splitlines() if line.startswith("[GNUPG:] VALIDSIG ")]
    if not found.ok or not valid:
        raise SignatureError(found.reason)
    others = [signer for signer in valid if signer != fingerprint]
    if others:
        raise SignatureError(f"signed with the key {others[0]}, not with {fingerprint}")


def unarmored(key: bytes) -> bytes:
    """A key's bytes, which gpgv needs, of its ASCII form: RFC 4880, section 6.2."""
    lines = key.decode("ascii", "replace").splitlines()
    if not lines or not lines[0].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        return key
    # After the headers comes an empty line, and at the end a checksum.
    body = lines[lines.index("") + 1 :] if "" in lines else []
    text = "".join(line for line in body if not line.startswith(("=", "-")))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SignatureError(f"its key cannot be read: {error}") from None
