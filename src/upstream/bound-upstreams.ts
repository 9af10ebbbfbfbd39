/** Keys that may use certain upstreams only (`key generate --upstream`). Pure. */
import type { Principal } from '../domain/principal.ts';
import { ProxyError } from '../lib/errors.ts';

/** The names of the upstreams that a caller is bound to; none: it may use all. */
export function boundUpstreamsOf(principal: Principal): readonly string[] {
  return principal.kind === 'key' ? principal.policy.upstreams : [];
}

/** Throws ERR_NO_UPSTREAM if a caller is bound to upstreams, and none of these is one of them. */
export function refuseUnknownUpstreams(principal: Principal, names: readonly string[]): void {
  const bound = boundUpstreamsOf(principal);
  if (bound.length === 0 || bound.some((name) => names.includes(name))) return;
  throw new ProxyError(
    'ERR_NO_UPSTREAM',
    `This key is bound to the upstream ${bound.join(', ')}, which is not there.`,
    {
      hint:
        names.length === 0
          ? 'The owner of the proxy can start it with --upstreams, or let the key use any (key update --upstream any).'
          : 'The owner of the proxy can let the key use another one (key update --upstream).',
    },
  );
}
