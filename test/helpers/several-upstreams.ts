/** A proxy with several ways to Bedrock, each of which leads to a fake upstream of its own that verifies signatures. */
import { onTestFinished, expect } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { openProxy } from './proxy-test.ts';
import { AWS_PAIR, type Testbed, type TestbedOptions } from './testbed.ts';

/** What a file of `--upstreams` says of one; the endpoint is made here. */
export type UpstreamText = Readonly<Record<string, unknown>> & { readonly name: string };

export interface SeveralUpstreams {
  readonly testbed: Testbed;
  /** In the order of the texts. */
  readonly upstreams: readonly FakeUpstream[];
  /** The file's text, with these in place of the ones of the start. */
  describe(texts: readonly UpstreamText[]): string;
  /** How many requests each of them has seen. */
  counts(): number[];
}

/** Started for the test that runs; checked and closed after it. */
export async function openSeveralUpstreams(
  texts: readonly UpstreamText[],
  options: TestbedOptions = {},
): Promise<SeveralUpstreams> {
  const upstreams = await Promise.all(texts.map(() => startFakeUpstream(AWS_PAIR)));
  onTestFinished(async () => {
    for (const upstream of upstreams) {
      await upstream.close();
      expect(upstream.failures).toEqual([]);
    }
  });
  const describe = (all: readonly UpstreamText[]): string =>
    JSON.stringify({
      upstreams: all.map((text, index) => ({ endpointUrl: `http://${upstreams[index]?.authority}`, ...text })),
    });
  const testbed = await openProxy({ ...options, upstreams: describe(texts) });
  return { testbed, upstreams, describe, counts: () => upstreams.map(({ requests }) => requests.length) };
}
