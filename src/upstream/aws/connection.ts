/**
 * The parts of an upstream that speaks as AWS does: the owner's credentials, and the connections. Types only.
 */
import type { BidirectionalForwarder } from './bidirectional.ts';
import type { CredentialSource } from './credentials.ts';
import type { Forwarder } from './forward.ts';
import type { Identities } from './identities.ts';
import type { SigningClock } from './signing-clock.ts';

/** Connects nothing before it is used. The caller closes it. */
export interface AwsConnection {
  /** `aws` or `offline`. */
  readonly name: string;
  /** The proxy's own, before any role. */
  readonly credentials: CredentialSource;
  /** Those that sign a request, by whose it is. */
  readonly identities: Identities;
  readonly forwarder: Forwarder;
  readonly clock: SigningClock;
  readonly bidirectional: BidirectionalForwarder;
  close(): Promise<void>;
}
