/** What was signed, and with what; nothing here lets anybody sign. */
import type { JSX } from 'preact';
import type { SigningView } from '../../../src/inspector/wire.ts';

const SCHEMES = {
  sigv4: 'AWS Signature Version 4',
  bearer: 'a Bedrock API key, as Bearer',
  oauth: "the caller's own OAuth token",
  none: 'nothing',
};

/** The tab. */
export function SigningTab({ signing }: { signing: SigningView | null }): JSX.Element {
  if (signing === null) return <p class="quiet">Nothing was signed: it did not leave the proxy, or it is not kept.</p>;
  const rows: readonly (readonly [string, string | null])[] = [
    ['authorized by', SCHEMES[signing.scheme]],
    ['access key id', signing.access_key_id],
    ['credential scope', signing.scope],
    ['signed headers', signing.signed_headers.join(', ') || null],
    ['payload hash', signing.payload_hash],
  ];
  return (
    <div class="signing">
      <table class="headers">
        <tbody>
          {rows
            .filter(([, value]) => value !== null)
            .map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{value}</td>
              </tr>
            ))}
        </tbody>
      </table>
      {signing.canonical_request !== null && (
        <>
          <h3>Canonical request</h3>
          <pre class="code raw">{signing.canonical_request}</pre>
        </>
      )}
      {signing.string_to_sign !== null && (
        <>
          <h3>String to sign</h3>
          <pre class="code raw">{signing.string_to_sign}</pre>
        </>
      )}
      {signing.scheme === 'sigv4' && (
        <p class="quiet">
          A session token is masked, so that the hash of a canonical request that holds one is not AWS's.
        </p>
      )}
    </div>
  );
}
