/**
 * `GET /cassette`: what is played from a cassette, and what is missed. The proxy's own; LiteLLM has nothing like it.
 */
import { z } from 'zod';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { AdminError } from './envelope.ts';

const state = z.object({
  mode: z.string().describe('As --cassette-mode has it'),
  played: z.int().describe('Requests that got a recording'),
  recorded: z.int().describe('Requests that were recorded'),
  missed: z.int().describe('Requests that had no recording'),
  unused: z.array(z.string()).describe('Recordings that no request got yet'),
  misses: z.array(z.looseObject({ message: z.string() })).describe('The last hundred, as in misses.ndjson'),
});

/** Makes it. */
export function createCassetteEndpoint({ readCassette }: Pick<AdminOptions, 'readCassette'>): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/cassette',
    summary: 'What was played from the cassette, what is not used yet, and why requests had no recording.',
    access: 'master key',
    response: state,
    respond: async () => {
      if (readCassette === undefined) {
        const hint = 'Start the proxy with --cassette.';
        throw new AdminError('There is no cassette.', { status: 404, type: 'not_found_error', hint });
      }
      const { unused, misses, ...counts } = readCassette();
      return { ...counts, unused: [...unused], misses: misses.map((miss) => ({ message: '', ...miss })) };
    },
  });
}
