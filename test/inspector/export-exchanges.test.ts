/** All formats at once: what must not be in any of them. */
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/inspector/exchange.ts';
import {
  EXPORT_FORMATS,
  exportExchanges,
  findExportedSecrets,
  nameExport,
  nameWithPrompts,
} from '../../src/inspector/export-exchanges.ts';
import { bodyOf, keptExchange } from '../helpers/kept-exchanges.ts';

const SECRETS = [
  'AKIAQWERTYUIOPASDFGH',
  'sk-CANARY0123456789012345',
  'CANARY-prompt',
  'canary@corp.test',
  '210987654321',
];
const OPTIONS = { version: '1.2.3', exportedAtMs: 0, dropped: {}, salt: 'salt', page: { script: '', style: '' } };

/** Wherever something of a client's may stand. */
function withCanaries(): Exchange {
  const all = SECRETS.join(' ');
  const exchange = keptExchange();
  const body = bodyOf(
    JSON.stringify({ messages: [{ role: all, content: [{ text: all }] }], [all]: [all], model: SECRETS[0] }),
  );
  const message = {
    target: `/model/${SECRETS[4]}/converse?q=${SECRETS[1]}`,
    headers: [
      ['x-mine', all],
      ['user-agent', SECRETS[3] ?? ''],
    ],
    body,
  } as const;
  const upstreamResponse = {
    status: 400,
    headers: [['content-type', 'application/json']] as const,
    body: bodyOf(JSON.stringify({ message: `${SECRETS[0]} ${SECRETS[3]} ${SECRETS[4]}` })),
  };
  return {
    ...exchange,
    row: {
      ...exchange.row,
      keyLabel: all,
      session: all,
      agent: all,
      tags: { [all]: all },
      errorMessage: `${SECRETS[1]} ${SECRETS[3]}`,
    },
    layers: {
      clientRequest: message,
      signedRequest: { ...message, body: undefined },
      upstreamResponse,
      clientResponse: { ...upstreamResponse, body: undefined },
    },
    clientStream: bodyOf(all),
    signing: { scheme: 'sigv4', canonicalRequest: `POST\n/${SECRETS[4]}\nq=${SECRETS[1]}\nx-mine:${all}\n` },
    note: all,
  };
}

describe.each(EXPORT_FORMATS)('an export as %s', (format) => {
  it('has no secret in it, no prompt, and nobody, unless that is wanted', () => {
    const text = [...exportExchanges([withCanaries()], { ...OPTIONS, format, isSanitized: true })].join('');
    const decoded = text.replaceAll(/"([A-Za-z0-9+/]{16,}={0,2})"/g, (_, base64: string) =>
      Buffer.from(base64, 'base64').toString(),
    );
    for (const secret of SECRETS) {
      expect(text).not.toContain(secret);
      expect(decoded).not.toContain(secret);
    }
  });

  it('has prompts if they are wanted', () => {
    const text = [...exportExchanges([keptExchange()], { ...OPTIONS, format, isSanitized: false })].join('');
    expect(text).toContain('Where is the bug?');
  });
});

describe('an export with prompts', () => {
  it('says so in its name', () => {
    const options = { ...OPTIONS, format: 'har', isSanitized: false } as const;
    expect(nameExport(options)).toBe('exchanges-1970-01-01-contains-prompts.har');
    expect(nameExport({ ...options, isSanitized: true })).toBe('exchanges-1970-01-01.har');
    expect(nameWithPrompts('out/a.b/report.html', false)).toBe('out/a.b/report-contains-prompts.html');
    expect(nameWithPrompts('out/a.b/report', false)).toBe('out/a.b/report-contains-prompts');
    expect(nameWithPrompts('it-contains-prompts.har', false)).toBe('it-contains-prompts.har');
  });

  it('is looked through for secrets', () => {
    const signed = 'AWS4-HMAC-SHA256 Credential=AKIA…/x, SignedHeaders=host, Signature=[masked]';
    const masked = keptExchange({
      layers: { signedRequest: { headers: [['authorization', signed]], body: undefined } },
    });
    expect(findExportedSecrets([masked]).size).toBe(0);
    const secret = keptExchange({ clientStream: bodyOf('my key is AKIAQWERTYUIOPASDFGH') });
    expect(Object.fromEntries(findExportedSecrets([secret, secret, keptExchange()]))).toEqual({
      'an AWS access key id (AKIA…)': 2,
    });
  });
});
