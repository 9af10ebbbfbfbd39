/** A request or a response in two layers: what one side sent, and what went on from here. Differences are marked. */
import type { JSX } from 'preact';
import type { ExchangeDetails, MessageHead } from '../../../src/inspector/wire.ts';
import { BodyView } from './body.tsx';

/** `which`: the client's request beside the signed one, or the upstream's response beside ours. */
export function MessageTab({
  details,
  which,
  version,
}: {
  details: ExchangeDetails;
  which: 'request' | 'response';
  version: unknown;
}): JSX.Element {
  const { layers, summary } = details;
  const [first, second] =
    which === 'request'
      ? ([layers.client_request, layers.signed_request] as const)
      : ([layers.upstream_response, layers.client_response] as const);
  const [firstTitle, secondTitle] =
    which === 'request' ? ['from the client', 'signed, to AWS'] : ['from AWS', 'to the client'];
  const firstLayer = which === 'request' ? 'client_request' : 'upstream_response';
  const base = `/exchanges/${summary.id}/body`;
  return (
    <div class="message">
      <div class="layers">
        <HeadView title={firstTitle} head={first} other={second} />
        <HeadView title={secondTitle} head={second} other={first} />
      </div>
      {first?.body !== null && first?.body !== undefined && (
        <section>
          <h3>Body</h3>
          <BodyView path={`${base}/${firstLayer}`} facts={first.body} version={version} />
        </section>
      )}
      {which === 'response' && second?.body !== null && second?.body !== undefined && (
        <section>
          <h3>Body to the client, which is another one</h3>
          <BodyView path={`${base}/client_response`} facts={second.body} version={version} />
        </section>
      )}
    </div>
  );
}

function HeadView({
  title,
  head,
  other,
}: {
  title: string;
  head: MessageHead | null;
  other: MessageHead | null;
}): JSX.Element {
  if (head === null) {
    return (
      <section class="layer">
        <h3>{title}</h3>
        <p class="quiet">It did not come so far.</p>
      </section>
    );
  }
  const known = new Set(other?.headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`));
  return (
    <section class="layer">
      <h3>{title}</h3>
      <p class="start-line">
        {head.status === null ? `${head.method ?? ''} ${head.target ?? ''}` : String(head.status)}
        {head.authority !== null && <span class="quiet"> {head.authority}</span>}
        {head.http_version !== null && <span class="quiet"> HTTP/{head.http_version}</span>}
      </p>
      <table class="headers">
        <tbody>
          {head.headers.map(([name, value], at) => {
            const isOwn = other !== null && !known.has(`${name.toLowerCase()}: ${value}`);
            return (
              <tr key={at} class={isOwn ? 'header-own' : ''}>
                <th scope="row">
                  {isOwn && <span title="differs between the two">± </span>}
                  {name}
                </th>
                <td>{value}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
