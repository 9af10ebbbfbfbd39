/**
 * @module-tag slow
 *
 * The recipes of docs/upstreams.md, as they are written: each file starts the program and does what the page says of
 * it. Only the endpoints are the fake AWS's.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FakeAws } from '../helpers/fake-aws.ts';
import { serve, throttle } from '../helpers/fake-bedrock.ts';
import { bodyOf, NOVA, openUpstreamsTest, type UpstreamsTest } from '../helpers/upstreams-test.ts';

const PAGE = readFileSync(new URL('../../docs/upstreams.md', import.meta.url), 'utf8');
/** `As \`NAME.json\`. …` and the block that follows. */
const RECIPES = new Map(
  [...PAGE.matchAll(/^As `([\w-]+\.json)`[^]*?^```json\n([^]*?)^```$/gm)].map(([, name = '', code = '']) => [
    name,
    (JSON.parse(code) as { upstreams: readonly Upstream[] }).upstreams,
  ]),
);
const REGIONS = ['us-east-1', 'us-west-2', 'eu-central-1', 'eu-west-1'];
const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';

interface Upstream {
  readonly name: string;
  readonly region: string;
  readonly profile?: string;
  readonly endpointUrl?: string;
}

/** Starts the recipe; `place` says where an upstream is. */
function start(
  name: string,
  place: (upstream: Upstream, aws: FakeAws) => object = ({ region }, aws) => ({ endpointUrl: aws.region(region).url }),
): Promise<UpstreamsTest> {
  const upstreams = RECIPES.get(name) ?? [];
  expect(upstreams.length).toBeGreaterThan(1);
  return openUpstreamsTest({
    regions: REGIONS,
    upstreams: (aws) => upstreams.map((upstream) => ({ ...upstream, ...place(upstream, aws) })),
  });
}

/** What Claude Code sends: a cached system prompt, and a stream. */
async function ask(
  test: UpstreamsTest,
  system: string,
  model = `us.${HAIKU}`,
): Promise<{ upstream: string; text: string }> {
  const content = [{ type: 'text', text: system, cache_control: { type: 'ephemeral' } }];
  const body = bodyOf('Hello', { anthropic_version: 'bedrock-2023-05-31', system: content });
  const path = `/model/${model}/invoke-with-response-stream`;
  const reply = await test.send(path, { body, headers: { 'user-agent': 'claude-cli/2.0.0 (external, cli)' } });
  expect(reply.status).toBe(200);
  return { upstream: reply.headers.get('x-bedrock-proxy-upstream') ?? '', text: reply.body.toString('latin1') };
}

describe('the recipes of docs/upstreams.md', () => {
  it('are all tested', () => {
    expect([...RECIPES.keys()]).toEqual(['two-accounts.json', 'eu-only.json', 'privatelink.json']);
  });

  it('spread conversations of Claude Code over two accounts by their weights, and keep each in its own', async () => {
    const test = await start('two-accounts.json');
    const first = new Map<string, string>();
    for (let number = 0; number < 60; number += 1)
      first.set(`system ${number}`, (await ask(test, `system ${number}`)).upstream);
    const inSecond = [...first.values()].filter((upstream) => upstream === 'second').length;
    expect(inSecond).toBeGreaterThan(4);
    expect(inSecond).toBeLessThan(30);
    for (const [system, upstream] of first) expect((await ask(test, system)).upstream).toBe(upstream);
    expect(test.aws.trail.map(({ account }) => account)).toContain('222222222222');
    expect(await test.cli('usage', '--by', 'upstream')).toMatch(/main[^]*second|second[^]*main/);
  });

  it('take the second account if the first throttles', async () => {
    const test = await start('two-accounts.json');
    test.aws
      .region('us-east-1')
      .always((call, response) =>
        test.aws.trail.at(-1)?.account === '111111111111' ? throttle()(call, response) : serve(call, response),
      );
    for (let number = 0; number < 10; number += 1) {
      expect((await ask(test, `system ${number}`)).upstream).toBe('second');
    }
  });

  it('call nothing outside of the EU, whatever is asked for', async () => {
    const test = await start('eu-only.json');
    const own = await ask(test, 'system', `eu.${HAIKU}`);
    expect(['frankfurt', 'ireland']).toContain(own.upstream);
    // A client that insists on its name for the US.
    await ask(test, 'system');
    expect(test.aws.trail.map(({ model }) => model)).toEqual([`eu.${HAIKU}`, `eu.${HAIKU}`]);
    for (const model of [`global.${HAIKU}`, NOVA, 'us.amazon.nova-lite-v1:0']) {
      const refused = await test.send(`/model/${model}/converse`);
      expect([refused.status, refused.headers.get('x-bedrock-proxy-error')]).toEqual([
        expect.any(Number),
        expect.stringMatching(/^ERR_/),
      ]);
      expect(refused.status).toBeGreaterThanOrEqual(400);
    }
    test.aws.region('eu-central-1').always(throttle());
    test.aws.region('eu-west-1').always(throttle());
    expect((await test.send(`/model/eu.${HAIKU}/converse`)).status).toBe(429);
    expect(test.aws.trail.every(({ region }) => region.startsWith('eu-'))).toBe(true);
  });

  it('go over PrivateLink as long as it is there', async () => {
    const test = await start('privatelink.json', ({ endpointUrl }, aws) =>
      // The endpoint in the VPC is what the fake calls us-east-1 at an address of its own.
      ({ endpointUrl: endpointUrl === undefined ? aws.url : `bedrock-runtime=${aws.region('us-east-1').url}` }),
    );
    const { upstream } = test.aws.region('us-east-1');
    expect((await test.converse()).headers.get('x-bedrock-proxy-upstream')).toBe('privatelink');
    expect(upstream.requests).toHaveLength(1);
    await upstream.goDown();
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-upstream')]).toEqual([200, 'internet']);
    expect(test.aws.trail).toHaveLength(2);
  });
});
