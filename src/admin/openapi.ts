/**
 * The OpenAPI document of the admin API, written from the same endpoints and schemas that serve and validate.
 */
import { z } from 'zod';
import { lazy } from '../lib/lazy.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { errorEnvelope } from './schemas.ts';

const PATH = '/openapi.json';
const document = z.looseObject({ openapi: z.literal('3.1.0'), paths: z.looseObject({}) });

/**
 * `GET /openapi.json`, which tells of `endpoints` as they are when it is asked for the first time, itself included.
 * Needs no key, has no secret.
 */
export function createDocumentEndpoint(endpoints: readonly Endpoint[], version: string): Endpoint {
  // Written once: whoever may ask without a key may ask often.
  const describe = lazy(async () => describeApi(endpoints, version));
  return defineEndpoint({
    method: 'GET',
    path: PATH,
    summary: 'This document.',
    access: 'public',
    response: document,
    respond: describe,
  });
}

function describeApi(endpoints: readonly Endpoint[], version: string): z.output<typeof document> {
  const byPath = Map.groupBy(endpoints, ({ path }) => path);
  const paths = [...byPath].map(([path, group]) => [
    path,
    Object.fromEntries(group.map((endpoint) => [endpoint.method.toLowerCase(), describeEndpoint(endpoint)])),
  ]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'bedrock-proxy admin API',
      version,
      description:
        "LiteLLM's paths and names, as far as they make sense here. What the proxy does not support is refused by " +
        'name. Money is US dollars; what is not known is null.',
    },
    security: [{ bearer: [] }, { header: [] }],
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The master key' },
        header: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The master key' },
      },
      schemas: { Error: toJsonSchema(errorEnvelope, 'output') },
    },
  };
}

function describeEndpoint(endpoint: Endpoint): object {
  const { summary, access, body, response } = endpoint;
  const bodySchema = body === undefined ? undefined : toJsonSchema(body, 'input');
  return {
    summary,
    operationId: nameOperation(endpoint),
    ...(access === 'public' && { security: [] }),
    parameters: describeParameters(endpoint),
    ...(bodySchema !== undefined && {
      requestBody: {
        required: (bodySchema['required'] ?? []).length > 0,
        content: { 'application/json': { schema: bodySchema } },
      },
    }),
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: toJsonSchema(response, 'output') } } },
      ...(access !== 'public' && {
        default: {
          description: 'Not done',
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
        },
      }),
    },
  };
}

function describeParameters({ path, query }: Endpoint): object[] {
  const schema = toJsonSchema(query, 'input');
  const inQuery = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = property as Record<string, unknown>;
    const required = schema.required?.includes(name) ?? false;
    return { name, in: 'query', required, ...(description !== undefined && { description }), schema: rest };
  });
  if (!path.includes('{key}')) return inQuery;
  const description = 'The token (SHA-256) of the key, its key_id, or the key itself';
  return [{ name: 'key', in: 'path', required: true, description, schema: { type: 'string' } }, ...inQuery];
}

/** `POST /key/{key}/regenerate`: `post_key_by_key_regenerate`. */
function nameOperation({ method, path }: Endpoint): string {
  const words = path.replace('{key}', 'by/key').split(/[/.]/).filter(Boolean);
  return [method.toLowerCase(), ...words].join('_');
}

function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): z.core.JSONSchema.BaseSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
