import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { caFilePath, ensureCertificate, readCertificate } from '../../src/server/certificate.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 0, 31);

let folder: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
});

const ensure = (hosts: readonly string[] = [], nowMs = NOW_MS) => ensureCertificate(join(folder, 'data'), hosts, nowMs);

describe('a certificate of our own', () => {
  it('makes a certificate for every name of this machine, signed by the authority beside it', async () => {
    const { cert, caFile } = await ensure(['Dev.Test', '192.168.1.7', 'fd00::7']);
    const parsed = new X509Certificate(cert);
    for (const name of ['localhost', 'host.docker.internal', 'dev.test']) expect(parsed.checkHost(name)).toBeDefined();
    for (const address of ['127.0.0.1', '::1', '192.168.1.7', 'fd00::7']) expect(parsed.checkIP(address)).toBeDefined();
    expect(parsed.checkHost('evil.example')).toBeUndefined();
    const authority = new X509Certificate(await readFile(caFile ?? ''));
    expect([parsed.verify(authority.publicKey), authority.ca, parsed.ca]).toEqual([true, true, false]);
    expect(caFile).toBe(caFilePath(join(folder, 'data')));
  });

  it('keeps the certificate in files that nobody else can read, whole ones only', async () => {
    await ensure();
    expect((await readdir(join(folder, 'data'))).toSorted()).toEqual(['tls-ca.pem', 'tls.pem']);
    for (const name of ['', 'tls-ca.pem', 'tls.pem']) {
      expect((await stat(join(folder, 'data', name))).mode & 0o077).toBe(0);
    }
  });

  it('makes one certificate for several that want it at once', async () => {
    const made = await Promise.all([ensure(), ensure(), ensure()]);
    expect(new Set([...made, await ensure()].map(({ cert }) => cert)).size).toBe(1);
    expect((await readFile(caFilePath(join(folder, 'data')), 'utf8')).length).toBeGreaterThan(100);
  });

  it.each([
    { name: 'stays', days: 300, hosts: [], isSame: true },
    { name: 'stays for fewer names', days: 0, hosts: ['a.test'], isSame: true },
    { name: 'is made anew two weeks before its end', days: 384, hosts: [], isSame: false },
    { name: 'is made anew for another name', days: 0, hosts: ['c.test'], isSame: false },
  ])('handles an old certificate: it $name', async ({ days, hosts, isSame }) => {
    const first = await ensure(['a.test', 'b.test']);
    const second = await ensure(hosts, NOW_MS + days * DAY_MS);
    expect(second.cert === first.cert).toBe(isSame);
  });

  it.each([
    { name: 'missing', text: undefined },
    { name: 'empty', text: '' },
    { name: 'cut off', text: '-----BEGIN CERTIFICATE-----\nMIIB' },
    {
      name: 'garbled',
      text: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
        .repeat(2)
        .concat('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'),
    },
  ])('makes the certificate anew if its file is $name', async ({ text }) => {
    const first = await ensure();
    const file = join(folder, 'data', 'tls.pem');
    if (text === undefined) await rm(file);
    else await writeFile(file, text);
    const second = await ensure();
    expect(second.cert).not.toBe(first.cert);
    expect((await ensure()).cert).toBe(second.cert);
  });

  it('leaves four authorities to trust at most, the newest first', async () => {
    for (let count = 0; count < 6; count += 1) await ensure([`host-${count}.test`]);
    const { cert, caFile } = await ensure(['host-5.test']);
    const text = await readFile(caFile ?? '', 'utf8');
    expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(4);
    expect(new X509Certificate(cert).verify(new X509Certificate(text).publicKey)).toBe(true);
  });

  it.skipIf(process.platform === 'win32')('refuses a private key that others may read, kept or brought', async () => {
    await ensure();
    const file = join(folder, 'data', 'tls.pem');
    await chmod(file, 0o644);
    expect(await failureOf(() => ensure())).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', detail: file });
    expect(await failureOf(() => readCertificate(file, file))).toMatchObject({ code: 'ERR_BAD_OPTION', detail: file });
    await chmod(file, 0o600);
    expect(readCertificate(file, file).key).toContain('PRIVATE KEY');
  });

  it.skipIf(process.getuid?.() === 0)('reports a certificate that it cannot keep', async () => {
    await mkdir(join(folder, 'data'));
    await chmod(join(folder, 'data'), 0o500);
    expect((await failureOf(() => ensure())).code).toBe('ERR_STORE_UNAVAILABLE');
  });
});
