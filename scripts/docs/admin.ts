/** The reference of the admin API, made of its OpenAPI document. Pure. */
import { renderCode, renderTable } from './markdown.ts';
import type { ApiOperation, ApiSchema, OpenApi } from './openapi.ts';

/** One row per endpoint. */
export function renderAdminPaths(openapi: OpenApi): string {
  const rows = listOperations(openapi).map(({ name, operation }) => [renderCode(name), operation.summary]);
  return renderTable(['path', 'what it does'], rows);
}

/** The fields and parameters of each endpoint that takes some. Endpoints that take the same share a table. */
export function renderAdminFields(openapi: OpenApi): string {
  const sections = new Map<string, string[]>();
  for (const { name, operation } of listOperations(openapi)) {
    const fields = listFields(operation);
    if (fields.length === 0) continue;
    const table = renderTable(['field', 'type', 'meaning'], fields);
    sections.set(table, [...(sections.get(table) ?? []), name]);
  }
  return [...sections].map(([table, names]) => `### ${names.map(renderCode).join(', ')}\n\n${table}`).join('\n\n');
}

function listOperations({ paths }: OpenApi): { name: string; operation: ApiOperation }[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
}

function listFields({ parameters = [], requestBody }: ApiOperation): string[][] {
  const body = requestBody?.content['application/json']?.schema.properties ?? {};
  return [
    ...parameters.map(({ name, in: place, schema, description }) => [
      `\`${name}\` (${place})`,
      describeType(schema),
      description ?? '',
    ]),
    ...Object.entries(body).map(([name, schema]) => [
      renderCode(name),
      describeType(schema),
      schema.description ?? schema.anyOf?.find((part) => part.description !== undefined)?.description ?? '',
    ]),
  ];
}

/** Whether a field may be null is the same for nearly all of them, and said once in the page. */
function describeType(schema: ApiSchema): string {
  const parts = schema.anyOf ?? [schema];
  const words = parts.flatMap((part) => part.enum?.map(renderCode) ?? part.type ?? []);
  return words.filter((word) => word !== 'null').join(', ');
}
