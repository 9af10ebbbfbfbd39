/** The command `cache`: words and options only; what it does is imported when it runs. */
import { defineCommand, JSON_OPTION, pickOptions } from '../command.ts';
import { CACHE_GROUPINGS, DEFAULT_CACHE_SINCE } from './groupings.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cache                           by key and model, seven days
  $ bedrock-proxy cache --since 1h --by session
  $ bedrock-proxy cache --filter 'client:claude-code' --json
  $ bedrock-proxy logs --id 0198c5b2-…            the example of a cause
`;
const NOTES = `
Verdicts are there of requests that passed a proxy with --cache-doctor or
--inspect; tokens of all. UNREAD: tokens that were written and that nothing
read, at least. LOST: what it would have cost less if what could be read had
been read; ?: no verdict tells it. See docs/cache.md.
`;

/** `cache`. */
export const CACHE = defineCommand({
  name: 'cache',
  description: 'what prompt caches saved, what was lost, and why',
  examples: EXAMPLES,
  notes: NOTES,
  options: {
    since: {
      flag: '--since <time>',
      description: `from when: 7d, 12h, a date, or all (default: ${DEFAULT_CACHE_SINCE})`,
    },
    until: { flag: '--until <time>', description: 'until when (default: now)' },
    by: {
      flag: '--by <group>',
      description: `one line for each (default: key,model): ${CACHE_GROUPINGS.join(', ')}`,
      values: CACHE_GROUPINGS,
    },
    key: { flag: '--key <key>', description: 'only of this key: id or alias' },
    filter: { flag: '--filter <filter>', description: "only what matches, such as 'model:*sonnet* -client:boto3'" },
    json: JSON_OPTION,
    ...pickOptions('db'),
  },
  run: async (input) => (await import('./cache.ts')).printCacheDigest(input),
});
