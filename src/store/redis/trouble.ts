/** What goes wrong with Redis, in words with what to do. */
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';

/** By the first word of what Redis says, and by Node's error codes; the first that matches says it. */
const TROUBLES: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [
    // The last ones are the library's own.
    /^(E(CONNREFUSED|NOTFOUND|AI_AGAIN|HOSTUNREACH|TIMEDOUT|CONNRESET|PIPE)$|Socket |Connection timeout|The client is )/,
    'cannot be reached',
    'Check its URL, and that it runs.',
  ],
  [/^(NOAUTH|WRONGPASS|ERR invalid password)/, 'refuses the user or the password', 'Check both in the URL.'],
  [/^(NOPERM)/, 'does not let this user do that', 'Let it run scripts (+eval +evalsha) on ~bedrock-proxy:*.'],
  [/^(MOVED|ASK|CROSSSLOT|CLUSTERDOWN)/, 'is a cluster', 'A cluster is not supported: name a server that is none.'],
  [/^(READONLY)/, 'can only be read', 'Name the primary, not a replica.'],
  [/^(OOM)/, 'has no memory left', 'Give it more (maxmemory).'],
  [/^(LOADING|MASTERDOWN|BUSY)/, 'is not ready', 'It is asked again in a moment.'],
  [/(CERT|SIGNED|SELF_SIGNED|ALTNAME)/, 'shows a certificate that is not trusted', 'Name its authority (sslrootcert).'],
];

/** ERR_STORE_UNAVAILABLE of the server at `shownUrl`. */
export function toRedisTrouble(shownUrl: string, error: unknown): ProxyError {
  const told = findCode(error) ?? (error instanceof Error ? error.message : 'unknown');
  const [, what, hint] = TROUBLES.find(([pattern]) => pattern.test(told)) ?? [
    undefined,
    `cannot be used (${told})`,
    'Check that it runs and can be reached.',
  ];
  return new ProxyError('ERR_STORE_UNAVAILABLE', `Redis ${what}.`, { hint, detail: shownUrl, cause: error });
}
