/**
 * Certificates that Node does not trust: a program that inspects TLS shows those of an authority that often stands in
 * the system's certificate store alone. That store is joined to Node's own when it is first missed, and never before,
 * because loading it costs: 38 ms with 289 authorities on Linux, and more on macOS, where the event loop waits for it.
 * Nothing of a request has been sent when a handshake fails, so that the connection may be tried again.
 */
import tls, { type SecureContext } from 'node:tls';
import { findCode } from '../../lib/errno.ts';
import type { buildConnector } from 'undici';
import { ProxyError } from '../../lib/errors.ts';

/** OpenSSL's codes, as Node has them, for a chain that ends in no authority that is trusted. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
]);

/** Of this process, as Node's default store is. */
let isSystemJoined = false;
/** By bundle: making one costs some milliseconds, and a connection needs what all the others do. */
const contexts = new Map<string, TrustOptions>();

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/** Options of `tls.connect`. */
export interface TrustOptions {
  readonly secureContext?: SecureContext;
}

/**
 * Whom every TLS connection that leaves us trusts: the authorities of Node (NODE_EXTRA_CA_CERTS included), those of the
 * bundle (PEM), and the system's as soon as one was missed. The same object as long as nothing is joined. Throws what
 * OpenSSL says of a bundle that it cannot read.
 */
export function trustedBy(bundle = ''): TrustOptions {
  const known = contexts.get(bundle);
  if (known !== undefined) return known;
  // Node's own store has what was joined to it.
  const isDefault = bundle === '' && (!isSystemJoined || canJoin());
  const options = isDefault ? {} : { secureContext: tls.createSecureContext({ ca: listAuthorities(bundle) }) };
  contexts.set(bundle, options);
  return options;
}

function listAuthorities(bundle: string): string[] {
  const system = isSystemJoined ? tls.getCACertificates('system') : [];
  return [...new Set([...tls.getCACertificates('default'), ...system]), ...(bundle === '' ? [] : [bundle])];
}

/** Node 24.0 to 24.4 cannot; there the SDK's own connections do without. */
function canJoin(): boolean {
  return typeof tls.setDefaultCACertificates === 'function';
}

/** Whether a connection failed because the other side's certificate is of no authority that is trusted. */
export function isUnknownAuthority(error: unknown): boolean {
  return UNKNOWN_AUTHORITY.has(findCode(error) ?? '');
}

/**
 * Joins the system's store to Node's, and the bundles with it for the SDK's own connections, if that may cure the
 * error. True if it was joined and had not been when the connection was tried, so that another try may succeed.
 */
function joinSystemStore(error: unknown, wasJoined: boolean): boolean {
  if (wasJoined || !isUnknownAuthority(error)) return false;
  if (isSystemJoined) return true;
  isSystemJoined = true;
  const bundles = [...contexts.keys()].flatMap((bundle) => bundle.match(CERTIFICATES) ?? []);
  contexts.clear();
  if (canJoin()) tls.setDefaultCACertificates([...listAuthorities(''), ...bundles]);
  return true;
}

/** Dials once more if the certificate is of an authority that only the system's store may know. */
export function dialTrusting(dial: buildConnector.connector): buildConnector.connector {
  return (target, callback) => {
    const wasJoined = isSystemJoined;
    dial(target, (...outcome) => {
      if (outcome[0] !== null && joinSystemStore(outcome[0], wasJoined)) dial(target, callback);
      else callback(...outcome);
    });
  };
}

/** Runs once more, for the same reason, what makes connections of its own, such as the credential chain. */
export async function runTrusting<Result>(run: () => Promise<Result>): Promise<Result> {
  const wasJoined = isSystemJoined;
  try {
    return await run();
  } catch (thrown) {
    if (!joinSystemStore(findCertificateError(thrown), wasJoined)) throw thrown;
    return run();
  }
}

/** The SDK wraps the errors of its connections, some as a cause and some as text. */
function findCertificateError(thrown: unknown): unknown {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    if (isUnknownAuthority(error)) return error;
    const named = [...UNKNOWN_AUTHORITY].find((code) => error instanceof Error && error.message.includes(code));
    if (named !== undefined || /self-signed certificate|unable to (?:get local issuer|verify)/i.test(error.message)) {
      return Object.assign(new Error(error.message), { code: named ?? 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    }
  }
  return undefined;
}

/** What a client and the owner are told when no store knows the authority. */
export function untrusted(code: string, cause: unknown, who = 'The upstream'): ProxyError {
  const message = `${who} shows a certificate of an authority that nothing here trusts (${code}).`;
  return new ProxyError('ERR_UPSTREAM_UNTRUSTED', message, {
    hint:
      "If a program inspects TLS here, put its authority into the system's certificate store, or name its PEM file " +
      'in AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS, and start the proxy anew.',
    detail: code,
    cause,
  });
}
