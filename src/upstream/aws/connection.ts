/**
 * What an upstream that speaks as AWS does is made of: the owner's credentials, and the connections. Types only.
 */
import type { CredentialSource } from './credentials.ts';
import type { Forwarder } from './forward.ts';
import type { NetworkOptions } from './tunnel.ts';

/** Connects nothing before it is used. Whoever opens it closes it. */
export interface AwsConnection {
  /** `aws` or `offline`. */
  readonly name: string;
  readonly credentials: CredentialSource;
  readonly forwarder: Forwarder;
  /** The way out of a corporate network, for connections that are not the forwarder's. */
  readonly network: NetworkOptions | undefined;
  close(): Promise<void>;
}
