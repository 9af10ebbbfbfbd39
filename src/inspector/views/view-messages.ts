/**
 * What client and model have said to each other in an exchange: the request's messages with their places in its body,
 * and the response put together, as far as it has come. Pure, and never throws.
 */
import { readJsonTree } from '../../protocol/json-tree.ts';
import type { Exchange } from '../exchange.ts';
import type { MessagesView } from '../wire.ts';
import { readRequestJson } from './plain-body.ts';
import { findForm, readRequestMessages } from './request-messages.ts';
import { readResponseMessages } from './response-messages.ts';

/** Deep enough for a block within the result of a tool. */
const SPAN_DEPTH = 8;

/** The messages of an exchange, which may still grow. */
export function viewMessages(exchange: Exchange): MessagesView {
  const request = readRequestJson(exchange);
  const { response, stop, problem } = readResponseMessages(exchange);
  const json = 'json' in request ? request.json : {};
  const form = findForm(exchange.row.operation, json);
  const said =
    'json' in request
      ? readRequestMessages(form, json, readJsonTree(request.bytes, SPAN_DEPTH)?.root)
      : readRequestMessages('other', {}, undefined);
  const problems = ['json' in request ? undefined : request.problem, problem].filter((told) => told !== undefined);
  return {
    form,
    ...said,
    response,
    stop,
    is_open: exchange.end === 'open',
    problem: problems.length === 0 ? null : problems.join(' '),
  };
}
