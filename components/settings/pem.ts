import { createPrivateKey, X509Certificate } from "node:crypto";

/** What a text in PEM form is not: the fix, or undefined if it is fine. */
export type PemFault = string | undefined;

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Line ends as on Windows are no part of a certificate or a key. */
export function unixLines(pem: string): string {
  return pem.replace(/\r\n?/g, "\n");
}

/** What is wrong with one or more certificates. */
export function certificateFault(pem: string): PemFault {
  const blocks = unixLines(pem).match(BLOCK);
  if (blocks === null) return "give certificates in PEM form: -----BEGIN CERTIFICATE-----";
  return blocks.every((block) => parsed(() => new X509Certificate(block)) !== undefined)
    ? undefined
    : "it is damaged: copy it again, whole";
}

/** What is wrong with a private key, told without a part of it. */
export function keyFault(pem: string): PemFault {
  const text = unixLines(pem);
  if (!/-----BEGIN ([A-Z]+ )?(ENCRYPTED )?PRIVATE KEY-----/.test(text)) {
    return "give a private key in PEM form: -----BEGIN PRIVATE KEY-----";
  }
  if (text.includes("ENCRYPTED")) {
    return "remove its passphrase: openssl pkey -in KEY_FILE -out NEW_KEY_FILE";
  }
  return parsed(() => createPrivateKey(text)) === undefined
    ? "it is damaged: copy it again, whole"
    : undefined;
}

/** Whether a private key is the one of the first certificate; both are well-formed. */
export function belongTogether(certificate: string, key: string): boolean {
  const [first = ""] = unixLines(certificate).match(BLOCK) ?? [];
  return new X509Certificate(first).checkPrivateKey(createPrivateKey(unixLines(key)));
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
