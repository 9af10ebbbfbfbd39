/** The members that AWS's clients take as bytes, against the inputs of the AWS SDK's clients. */
import { NormalizedSchema } from '@smithy/core/schema';
import { expect, it } from 'vitest';
import { BLOB_FIELDS, PAYLOAD_FIELDS } from '../../src/operations/blob-fields.ts';
import { SERVICE_TABLES } from '../../src/operations/generated.ts';

/** Every member of bytes, the recursion of a shape cut at its second turn; streams are no members. */
function blobsIn(schema: NormalizedSchema, path: string, above: readonly string[]): string[] {
  if (schema.isBlobSchema()) return [schema.getMergedTraits().httpPayload === undefined ? path : `payload ${path}`];
  if (schema.isListSchema()) return blobsIn(schema.getValueSchema(), `${path}[]`, above);
  if (schema.isMapSchema()) return blobsIn(schema.getValueSchema(), `${path}.*`, above);
  if (!schema.isStructSchema() || schema.isStreaming()) return [];
  const name = schema.getName(true) ?? '';
  if (above.includes(name)) return [];
  return [...schema.structIterator()].flatMap(([member, value]) =>
    blobsIn(value, path === '' ? member : `${path}.${member}`, [...above, name]),
  );
}

async function blobsOf(service: string): Promise<(readonly [operation: string, paths: readonly string[]])[]> {
  const client: Record<string, unknown> = await import(`@aws-sdk/client-${service}`);
  return Object.entries(client).flatMap(([exported, schema]) => {
    if (!exported.endsWith('$') || !Array.isArray(schema) || schema[0] !== 9) return [];
    const [, , name, , input] = schema as [9, string, string, object, () => never];
    const paths = blobsIn(NormalizedSchema.of(input()), '', []);
    return paths.length === 0 ? [] : [[name, paths] as const];
  });
}

const sorted = (rows: readonly (readonly [string, readonly string[]])[]): string[] =>
  rows.flatMap(([name, paths]) => paths.map((path) => `${name} ${path}`)).toSorted();

it('are those of the clients, no more and no fewer', async () => {
  const found = (await Promise.all(SERVICE_TABLES.map(({ id }) => blobsOf(id)))).flat();
  const ours = [
    ...Object.entries(BLOB_FIELDS),
    ...Object.entries(PAYLOAD_FIELDS).map(([name, member]) => [name, [`payload ${member}`]] as const),
  ];
  expect(sorted(ours)).toEqual(sorted(found));
});
