import { describe, expect, it } from 'vitest';
import { createEndpoints } from '../../src/admin/router.ts';
import { ADMIN_PREFIXES } from '../../src/admin/admin-api.ts';
import { type Json, openAdmin } from '../helpers/open-admin.ts';

async function load(): Promise<Json> {
  const { call } = await openAdmin();
  const { status, json } = await call('/openapi.json', { headers: {} });
  expect(status).toBe(200);
  return json;
}

const below = (path: string, prefix: string): boolean => path === prefix || path.startsWith(`${prefix}/`);

describe('GET /openapi.json', () => {
  it('describes every endpoint that is served, and no other', async () => {
    const { options } = await openAdmin();
    const served = createEndpoints(options).map(({ method, path }) => `${method} ${path}`);
    const { paths } = await load();
    const told = Object.entries(paths as Json).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(told.toSorted()).toEqual(served.toSorted());
    expect(told.toSorted()).toEqual([
      'DELETE /faults',
      'GET /cassette',
      'GET /faults',
      'GET /global/activity',
      'GET /global/spend',
      'GET /global/spend/keys',
      'GET /global/spend/models',
      'GET /global/spend/report',
      'GET /global/spend/tags',
      'GET /key/aliases',
      'GET /key/info',
      'GET /key/list',
      'GET /openapi.json',
      'GET /spend/keys',
      'GET /spend/logs',
      'GET /spend/logs/v2',
      'GET /spend/tags',
      'POST /key/block',
      'POST /key/bulk_update',
      'POST /key/delete',
      'POST /key/generate',
      'POST /key/health',
      'POST /key/regenerate',
      'POST /key/unblock',
      'POST /key/update',
      'POST /key/{key}/regenerate',
      'PUT /faults',
    ]);
  });

  it('describes nothing outside the prefixes that are mounted', async () => {
    const paths = Object.keys((await load())['paths']);
    expect(paths.filter((path) => !ADMIN_PREFIXES.some((prefix) => below(path, prefix)))).toEqual([]);
    expect(ADMIN_PREFIXES.filter((prefix) => !paths.some((path) => below(path, prefix)))).toEqual([]);
  });

  it('writes an OpenAPI 3.1 document of this version, each operation with a name of its own', async () => {
    const document = await load();
    expect([document['openapi'], document['info'].version]).toEqual(['3.1.0', '1.2.3']);
    const operations = Object.values<Json>(document['paths']).flatMap((methods) => Object.values<Json>(methods));
    expect(new Set(operations.map((operation) => operation['operationId'])).size).toBe(operations.length);
    for (const operation of operations) {
      expect(operation['responses']['200'].content['application/json'].schema).not.toEqual({});
    }
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref);
    expect(new Set(refs)).toEqual(new Set(['#/components/schemas/Error']));
  });

  it('shows the fields of a request as they are validated', async () => {
    const { paths } = await load();
    const body = paths['/key/generate'].post.requestBody.content['application/json'].schema;
    expect(body).toMatchObject({ type: 'object', additionalProperties: false });
    expect(body.properties.metadata.anyOf[0]).toMatchObject({ type: 'object' });
    expect(body.properties).not.toHaveProperty('soft_budget');
    expect(paths['/key/block'].post.requestBody.required).toBe(true);
    const parameters = Object.fromEntries(
      paths['/key/list'].get.parameters.map((each: Json) => [each['name'], each['schema']]),
    );
    expect(parameters['size']).toMatchObject({ type: 'integer', minimum: 1, maximum: 100 });
    expect(parameters['return_full_object']).toEqual({ type: 'boolean' });
    expect(parameters['sort_order']).toMatchObject({ enum: ['asc', 'desc'] });
    expect(paths['/key/{key}/regenerate'].post.parameters).toMatchObject([{ name: 'key', in: 'path', required: true }]);
    const needed = paths['/global/spend/report'].get.parameters.filter((each: Json) => each['required']);
    expect(needed.map((each: Json) => each['name'])).toEqual(['start_date', 'end_date']);
    expect(paths['/openapi.json'].get.security).toEqual([]);
  });
});
