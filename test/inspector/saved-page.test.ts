import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { exportHtml } from '../../src/inspector/saved-page.ts';
import type { SavedExchanges } from '../../src/inspector/wire.ts';
import { bodyOf, keptExchange } from '../helpers/kept-exchanges.ts';

const PAGE = { script: 'console.log("</script><!-- hi -->")', style: 'body{color:red}/*</style>*/' };
const HEAD = { version: '1.2.3', exportedAtMs: 0, isSanitized: false, dropped: {} };
const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const save = (...exchanges: Exchange[]): string => [...exportHtml(exchanges, HEAD, PAGE)].join('');

function dataOf(html: string): SavedExchanges {
  const [, json = ''] = /<script type="application\/json" id="exchanges">(.*?)<\/script>/s.exec(html) ?? [];
  return JSON.parse(json) as SavedExchanges;
}

describe('a saved page', () => {
  it('holds what the page asks a server for', () => {
    expect(dataOf(save(keptExchange()))).toMatchObject({
      exported: '1970-01-01T00:00:00.000Z',
      is_sanitized: false,
      state: { kept: 'opened', version: '1.2.3', may_replay: false },
      list: {
        items: [{ id: 'req-1', state: 'complete' }],
        next: null,
        totals: { exchanges: 1, errors: 0, cost_usd: '0.0000021', cached_share: 0 },
      },
      details: { 'req-1': { summary: { id: 'req-1' } } },
      frames: { 'req-1': { protocol: 'chunks' } },
      messages: { 'req-1': { form: 'converse', response: { role: 'assistant' } } },
      bodies: { 'req-1': { client_request: expect.stringMatching(/^eyJ/) } },
    });
  });

  it.each(['</script><script>alert(1)</script>', '<!--<script>', '\u2028\u2029', '<img src=x onerror=alert(1)>'])(
    'is not broken out of by what a prompt says: %s',
    (hostile) => {
      const body = bodyOf(JSON.stringify({ messages: [{ role: 'user', content: [{ text: hostile }] }] }));
      const html = save(
        keptExchange({ note: hostile, layers: { clientRequest: { headers: [['x', hostile]], body } } }),
      );
      expect(html.match(/<script/g)).toHaveLength(2);
      expect(html.match(/<\/script>/g)).toHaveLength(2);
      expect(html).not.toContain('<img');
      expect(dataOf(html).list.items[0]?.note).toBe(hostile);
    },
  );

  it('allows its own script and style by their hashes, and nothing else', () => {
    const html = save(keptExchange());
    const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(html) ?? [];
    const [, script = ''] = /<script type="module">(.*?)<\/script>/s.exec(html) ?? [];
    const [, style = ''] = /<style>(.*?)<\/style>/s.exec(html) ?? [];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`script-src ${hashOf(script)};`);
    expect(policy).toContain(`style-src ${hashOf(style)};`);
    expect(policy).not.toMatch(/unsafe|connect-src|http/);
    expect(script).toContain(String.raw`"\x3c/script>\x3c!-- hi -->"`);
  });

  it('says that it has prompts, and how many exchanges did not fit', () => {
    const many = Array.from({ length: 1_002 }, (_, index) => keptExchange({ id: `req-${index}`, layers: {} }));
    const html = [...exportHtml(many, HEAD, PAGE)].join('');
    expect(html).toContain('(contains prompts)</title>');
    expect(dataOf(html).state).toMatchObject({ exchanges: 1_000, dropped: { export: 2 } });
    expect([...exportHtml([], { ...HEAD, isSanitized: true }, PAGE)].join('')).not.toContain('contains prompts');
  });
});
