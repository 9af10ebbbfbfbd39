import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/server/make-certificate.ts';
import { listen } from '../helpers/ports.ts';

const NOT_BEFORE = new Date('2026-01-30T01:02:03Z');
const NOT_AFTER = new Date('2049-12-31T23:59:59Z');

const make = (...names: string[]) => makeCertificate(names, NOT_BEFORE, NOT_AFTER);
const parse = (pem: string) => new X509Certificate(pem);

/** Whether the identifier of an extension (its DER, in hex) stands in a certificate. */
const hasExtension = (pem: string, oid: string) => parse(pem).raw.toString('hex').includes(`0603${oid}`);

describe('a made certificate', () => {
  it('makes a certificate that belongs to its key, signed by its authority, and is none itself', () => {
    const { ca, cert, key } = make('localhost');
    const [leaf, authority] = [parse(cert), parse(ca)];
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect([leaf.checkIssued(authority), leaf.verify(authority.publicKey), leaf.ca]).toEqual([true, true, false]);
    expect([authority.checkIssued(authority), authority.verify(authority.publicKey), authority.ca]).toEqual([
      true,
      true,
      true,
    ]);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('makes a certificate that is good for the given time, to the second', () => {
    const { ca, cert } = make('localhost');
    for (const { validFrom, validTo } of [parse(ca), parse(cert)]) {
      expect([Date.parse(validFrom), Date.parse(validTo)]).toEqual([NOT_BEFORE.getTime(), NOT_AFTER.getTime()]);
    }
  });

  it.each([
    { name: 'dev.test', told: 'DNS:dev.test' },
    { name: '192.168.1.7', told: 'IP Address:192.168.1.7' },
    { name: '::', told: 'IP Address:0:0:0:0:0:0:0:0' },
    { name: '::1', told: 'IP Address:0:0:0:0:0:0:0:1' },
    { name: 'fd00::7:0:9', told: 'IP Address:FD00:0:0:0:0:7:0:9' },
    { name: 'fd00::', told: 'IP Address:FD00:0:0:0:0:0:0:0' },
    { name: '2001:db8:1:2:3:4:5:6', told: 'IP Address:2001:DB8:1:2:3:4:5:6' },
    { name: '::ffff:1.2.3.4', told: 'IP Address:0:0:0:0:0:FFFF:102:304' },
  ])('makes a certificate that names $name', ({ name, told }) => {
    expect(parse(make(name).cert).subjectAltName).toBe(told);
  });

  it('refuses to name an address with a zone', () => {
    expect(() => make('fe80::1%eth0')).toThrow(TypeError);
  });

  it('names the keys of certificate and authority, which strict clients ask for', () => {
    const { ca, cert } = make('localhost');
    const [subjectKey, authorityKey] = ['551d0e', '551d23'];
    expect([subjectKey, authorityKey].map((oid) => hasExtension(cert, oid))).toEqual([true, true]);
    expect(hasExtension(ca, subjectKey)).toBe(true);
  });

  it('shares no number, name or key with another certificate', () => {
    const sets = [make('localhost'), make('localhost')];
    const all = sets.flatMap(({ ca, cert }) => [parse(ca), parse(cert)]);
    expect(new Set(all.map(({ serialNumber }) => serialNumber)).size).toBe(4);
    expect(new Set(all.map(({ fingerprint256 }) => fingerprint256)).size).toBe(4);
    expect(new Set(sets.map(({ ca }) => parse(ca).subject)).size).toBe(2);
    expect(new Set(sets.map(({ key }) => key)).size).toBe(2);
  });

  it('serves clients that trust the authority of the certificate', async () => {
    const { ca, cert, key } = makeCertificate(['localhost'], new Date(Date.now() - 60_000), NOT_AFTER);
    const port = await listen(createServer({ cert, key }, (socket) => socket.end()));
    const client = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
    await once(client, 'secureConnect');
    expect(client.authorized).toBe(true);
    client.destroy();
  });
});
