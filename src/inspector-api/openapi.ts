/** The OpenAPI document of the inspector's API, made of the same table that is served. Pure. */
import { INSPECTOR_API, type InspectorEndpoint } from './endpoint.ts';

/** What the parameters of queries are. */
const PARAMETERS: Readonly<Record<string, { readonly type: string; readonly description: string }>> = {
  filter: { type: 'string', description: 'Only what matches, as `logs --filter` has it' },
  before: { type: 'integer', description: '`next` of the page before' },
  after: { type: 'integer', description: '`cursor` of a list, or of the last event' },
  from: { type: 'integer', description: 'The first frame that is wanted, from 0 on' },
  limit: { type: 'integer', description: 'How many at most' },
  with: { type: 'string', description: 'Id of the other exchange; else the one before in the conversation' },
  as: { type: 'string', description: 'For which tool' },
  format: { type: 'string', description: 'har, html or ndjson' },
  id: { type: 'string', description: 'Only this exchange' },
  sanitize: { type: 'string', description: '0: with all that prompts and responses say' },
};

/** The document. */
export function describeInspectorApi(endpoints: readonly InspectorEndpoint[], version: string): object {
  const byPath = Map.groupBy(endpoints, ({ path }) => path);
  const paths = [...byPath].map(([path, group]) => [
    `${INSPECTOR_API}${path}`,
    Object.fromEntries(group.map((endpoint) => [endpoint.method.toLowerCase(), describeOperation(endpoint)])),
  ]);
  return {
    openapi: '3.1.0',
    info: { title: 'bedrock-proxy inspector API', version, description: 'What the page at /inspect/ is made of.' },
    security: [{ bearer: [] }],
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The token of the link, or the master key' },
      },
    },
  };
}

function describeOperation({ path, summary, query = [], body }: InspectorEndpoint): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = query.map((name) => {
    const { type = 'string', description = '' } = PARAMETERS[name] ?? {};
    return { name, in: 'query', required: false, description, schema: { type } };
  });
  const properties = body && Object.fromEntries(Object.entries(body).map(([name, type]) => [name, { type }]));
  return {
    summary,
    parameters: [...inPath, ...inQuery],
    ...(properties && {
      requestBody: { content: { 'application/json': { schema: { type: 'object', properties } } } },
    }),
    responses: {
      200: { description: 'Done' },
      default: { description: 'Not done', content: { 'application/json': { schema: { type: 'object' } } } },
    },
  };
}
