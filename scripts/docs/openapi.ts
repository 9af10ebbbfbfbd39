/** The OpenAPI document of the admin API, as `GET /openapi.json` returns it. */
import type { AdminOptions } from '../../src/admin/admin-options.ts';
import { createEndpoints } from '../../src/admin/router.ts';

/** The parts of the document that the docs show. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, ApiOperation>>>>;
}

export interface ApiOperation {
  readonly summary: string;
  /** Empty if it needs no key. */
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description?: string;
    readonly schema: ApiSchema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: ApiSchema }>> };
}

export interface ApiSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly anyOf?: readonly ApiSchema[];
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, ApiSchema>>;
}

/** The document, of the endpoint itself. */
export async function readOpenApi(): Promise<OpenApi> {
  // That endpoint needs nothing but the version.
  const options = { version: '' } as AdminOptions;
  const endpoint = createEndpoints(options).find(({ path }) => path === '/openapi.json');
  return JSON.parse(
    JSON.stringify(await endpoint?.serve({ query: {}, body: {}, pathKey: undefined, ownKey: undefined })),
  ) as OpenApi;
}
