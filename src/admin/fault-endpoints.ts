/**
 * The `/faults` endpoints: which faults are injected, live. They are the proxy's own; LiteLLM has nothing like them.
 */
import { z } from 'zod';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { AdminError } from './envelope.ts';

const MAX_RULES = 100;
const MAX_RULE_LENGTH = 2_000;

const PATH = '/faults';
const inForce = z.object({
  seed: z.int().describe('What chance goes by: the same seed and requests have the same faults'),
  faults: z.array(
    z.object({
      fault: z.string().describe('The rule, as it was written'),
      matched: z.int().describe('Requests that it was looked at for, and that its filter let through'),
      injected: z.int().describe('Those of them that had the fault'),
    }),
  ),
});
const replacement = z.strictObject({
  faults: z.array(z.string().max(MAX_RULE_LENGTH)).max(MAX_RULES).describe('Rules, as --fault takes them'),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional().describe("What chance goes by; else the server's seed"),
});

/** All of them. */
export function createFaultEndpoints({ faults }: Pick<AdminOptions, 'faults'>): Endpoint[] {
  const common = { path: PATH, access: 'master key', response: inForce } as const;
  const read = (): z.output<typeof inForce> => {
    const { seed, faults: rules } = faults.read();
    return { seed, faults: rules.map((rule) => ({ ...rule })) };
  };
  return [
    defineEndpoint({ ...common, method: 'GET', summary: 'The faults in force.', respond: async () => read() }),
    defineEndpoint({
      ...common,
      method: 'PUT',
      summary: 'Injects these faults from now on, in the place of all others.',
      body: replacement,
      respond: async ({ body: { faults: rules, seed } }) => {
        const wrong = await faults.replace(rules, seed);
        if (wrong === undefined) return read();
        throw new AdminError(wrong.problem, { param: 'faults', hint: wrong.hint });
      },
    }),
    defineEndpoint({
      ...common,
      method: 'DELETE',
      summary: 'Injects no faults from now on.',
      respond: async () => {
        faults.clear();
        return read();
      },
    }),
  ];
}
