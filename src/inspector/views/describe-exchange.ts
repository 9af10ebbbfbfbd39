/** Everything about an exchange but its bodies. Pure. */
import type { Exchange, KeptBody, KeptMessage, KeptSigning } from '../exchange.ts';
import type { BodyFacts, ExchangeDetails, ExchangeSummary, MessageHead, SigningView } from '../wire.ts';
import { contentTypeOf } from './kept-body.ts';
import { viewTiming } from './timing.ts';

/** A request that is not known: only its row is kept. */
const NO_MESSAGE: KeptMessage = { headers: [], body: undefined };

/** The details of an exchange whose summary has been made. */
export function describeExchange(exchange: Exchange, summary: ExchangeSummary): ExchangeDetails {
  const { layers, signing, failedAttempts } = exchange;
  return {
    summary,
    layers: {
      client_request: describeMessage(layers.clientRequest ?? requestOfRow(exchange)),
      signed_request: layers.signedRequest === undefined ? null : describeMessage(layers.signedRequest),
      upstream_response: layers.upstreamResponse === undefined ? null : describeMessage(layers.upstreamResponse),
      client_response: layers.clientResponse === undefined ? null : describeMessage(layers.clientResponse),
    },
    timing: viewTiming(exchange),
    signing: signing === undefined ? null : viewSigning(signing),
    failed_attempts: failedAttempts,
  };
}

/** What was signed, for people. */
function viewSigning(signing: KeptSigning): SigningView {
  return {
    scheme: signing.scheme,
    access_key_id: signing.accessKeyId ?? null,
    scope: signing.scope ?? null,
    signed_headers: signing.signedHeaders ?? [],
    payload_hash: signing.payloadHash ?? null,
    canonical_request: signing.canonicalRequest ?? null,
    string_to_sign: signing.stringToSign ?? null,
  };
}

/** The ledger has method and path of requests that failed. */
function requestOfRow({ row }: Exchange): KeptMessage {
  return { ...NO_MESSAGE, method: row.method, target: row.path };
}

function describeMessage(message: KeptMessage): MessageHead {
  return {
    method: message.method ?? null,
    authority: message.authority ?? null,
    target: message.target ?? null,
    http_version: message.httpVersion ?? null,
    status: message.status ?? null,
    headers: message.headers,
    body: message.body === undefined ? null : describeBody(message.body, message),
  };
}

function describeBody({ sizeBytes, sha256, hole }: KeptBody, message: KeptMessage): BodyFacts {
  const type = contentTypeOf(message);
  return {
    size_bytes: sizeBytes,
    kept_bytes: sizeBytes - (hole?.sizeBytes ?? 0),
    sha256: sha256 ?? null,
    hole: hole === undefined ? null : { at: hole.at, size_bytes: hole.sizeBytes, why: hole.why },
    content_type: type === '' ? null : type,
  };
}
