/**
 * Makes the certificates of `--tls`: an authority, and a certificate for this machine that it signed (X.509 version 3,
 * RFC 5280). `asn1js`, which only this file imports, writes the bytes; Node makes the keys and signs. Reads and writes
 * no file, and forgets the authority's key.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import * as asn1 from 'asn1js';

/** PEM texts, each with a line break at its end; `key` is of `cert`. */
export interface CertificateSet {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What stands in one certificate. */
interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  /** Its public part is the issuer's. */
  readonly issuerKey: KeyObject;
  readonly validity: asn1.Sequence;
  readonly extensions: readonly asn1.Sequence[];
}

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const EXTENSIONS = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
} as const;
/** Bits of keyUsage, the first one leftmost: digitalSignature, and keyCertSign with cRLSign. */
const MAY_SIGN_DATA = 0b1000_0000;
const MAY_SIGN_CERTIFICATES = 0b0000_0110;
/** Class of tags whose meaning depends on the context. */
const CONTEXT = 3;

/**
 * For these host names and addresses, good from and until the given times, before 2050. Throws a TypeError for an
 * address with a zone, which no certificate can name.
 */
export function makeCertificate(names: readonly string[], notBefore: Date, notAfter: Date): CertificateSet {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // A name of its own: OpenSSL looks an issuer up by name, and clients may trust several of these.
  const issuer = `bedrock-proxy local CA ${randomBytes(4).toString('hex')}`;
  const issuerId = identify(authority.publicKey);
  const validity = sequence(new asn1.UTCTime({ valueDate: notBefore }), new asn1.UTCTime({ valueDate: notAfter }));
  const common = { issuer, issuerKey: authority.privateKey, validity };
  const ca = certify({
    ...common,
    subject: issuer,
    publicKey: authority.publicKey,
    extensions: [
      critical('basicConstraints', sequence(new asn1.Boolean({ value: true }), new asn1.Integer({ value: 0 }))),
      critical('keyUsage', bits(MAY_SIGN_CERTIFICATES, 1)),
      extension('subjectKeyIdentifier', new asn1.OctetString({ valueHex: issuerId })),
    ],
  });
  const cert = certify({
    ...common,
    subject: 'bedrock-proxy',
    publicKey: leaf.publicKey,
    extensions: [
      critical('basicConstraints', sequence()),
      critical('keyUsage', bits(MAY_SIGN_DATA, 7)),
      extension('extKeyUsage', sequence(new asn1.ObjectIdentifier({ value: SERVER_AUTH }))),
      extension('subjectAltName', sequence(...names.map(nameBlock))),
      extension('subjectKeyIdentifier', new asn1.OctetString({ valueHex: identify(leaf.publicKey) })),
      // Python from 3.13 on refuses a certificate that does not name its authority's key.
      extension('authorityKeyIdentifier', sequence(tagged(0, issuerId))),
    ],
  });
  return { ca, cert, key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** A certificate as PEM (RFC 5280, section 4.1). */
function certify({ subject, issuer, publicKey, issuerKey, validity, extensions }: Contents): string {
  const algorithm = sequence(new asn1.ObjectIdentifier({ value: ECDSA_WITH_SHA256 }));
  const toBeSigned = sequence(
    explicit(0, new asn1.Integer({ value: 2 })),
    // A positive number that does not begin with a zero byte.
    new asn1.Integer({ valueHex: Buffer.concat([Buffer.of(0x5a), randomBytes(15)]) }),
    algorithm,
    commonName(issuer),
    validity,
    commonName(subject),
    asn1.fromBER(exportKey(publicKey), { parseEmbedded: false }).result,
    explicit(3, sequence(...extensions)),
  );
  const signature = sign('sha256', Buffer.from(toBeSigned.toBER()), issuerKey);
  const der = Buffer.from(sequence(toBeSigned, algorithm, new asn1.BitString({ valueHex: signature })).toBER());
  const lines = der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function sequence(...value: asn1.AsnType[]): asn1.Sequence {
  return new asn1.Sequence({ value });
}

function explicit(tagNumber: number, block: asn1.AsnType): asn1.Constructed {
  return new asn1.Constructed({ idBlock: { tagClass: CONTEXT, tagNumber }, value: [block] });
}

function tagged(tagNumber: number, valueHex: Buffer): asn1.Primitive {
  return new asn1.Primitive({ idBlock: { tagClass: CONTEXT, tagNumber }, valueHex });
}

function bits(byte: number, unusedBits: number): asn1.BitString {
  return new asn1.BitString({ valueHex: Buffer.of(byte), unusedBits });
}

function extension(name: keyof typeof EXTENSIONS, value: asn1.AsnType, isCritical = false): asn1.Sequence {
  const mark = isCritical ? [new asn1.Boolean({ value: true })] : [];
  const id = new asn1.ObjectIdentifier({ value: EXTENSIONS[name] });
  return sequence(id, ...mark, new asn1.OctetString({ valueHex: value.toBER() }));
}

function critical(name: keyof typeof EXTENSIONS, value: asn1.AsnType): asn1.Sequence {
  return extension(name, value, true);
}

function commonName(value: string): asn1.Sequence {
  const attribute = sequence(new asn1.ObjectIdentifier({ value: COMMON_NAME }), new asn1.Utf8String({ value }));
  return sequence(new asn1.Set({ value: [attribute] }));
}

/** A GeneralName: a DNS name, or the four or sixteen bytes of an address. */
function nameBlock(name: string): asn1.Primitive {
  return isIP(name) === 0 ? tagged(2, Buffer.from(name, 'latin1')) : tagged(7, parseAddress(name));
}

function parseAddress(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // URL writes any form of an address in groups of hexadecimal digits, with one `::` at most.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = [], after = []] = text.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** SubjectPublicKeyInfo. */
function exportKey(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** A hash of the key, as long as most have it; how it is made is left open (RFC 5280, section 4.2.1.2). */
function identify(publicKey: KeyObject): Buffer {
  return createHash('sha256').update(exportKey(publicKey)).digest().subarray(0, 20);
}
