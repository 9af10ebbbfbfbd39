import { describe, expect, it } from 'vitest';
import { sampleOfSchema } from '../../../src/upstream/offline/schema-sample.ts';

describe('sampleOfSchema', () => {
  it.each([
    { name: 'nothing at all', schema: undefined, sample: 'sample' },
    { name: 'a string', schema: { type: 'string' }, sample: 'sample' },
    { name: 'a long string', schema: { type: 'string', minLength: 8 }, sample: 'sample..' },
    { name: 'an enum', schema: { enum: ['a', 'b'] }, sample: 'a' },
    { name: 'a constant', schema: { const: 0 }, sample: 0 },
    { name: 'a default', schema: { type: 'number', default: 5 }, sample: 5 },
    { name: 'a number with a minimum', schema: { type: 'integer', minimum: 3 }, sample: 3 },
    { name: 'one of several types', schema: { type: ['boolean', 'null'] }, sample: true },
    { name: 'a list', schema: { type: 'array', items: { type: 'null' } }, sample: [null] },
    { name: 'a list of two or more', schema: { type: 'array', items: { const: 1 }, minItems: 2 }, sample: [1, 1] },
    { name: 'a number above a limit', schema: { type: 'number', exclusiveMinimum: 4 }, sample: 5 },
    { name: 'a date', schema: { type: 'string', format: 'date' }, sample: '2026-01-01' },
    {
      name: 'a reference',
      schema: { properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: { type: 'boolean' } } },
      sample: { a: true },
    },
    { name: 'a reference to nothing', schema: { $ref: '#/$defs/constructor' }, sample: 'sample' },
    { name: 'any of several', schema: { anyOf: [{ type: 'number' }, { type: 'string' }] }, sample: 1 },
    {
      name: 'the required properties',
      schema: { type: 'object', properties: { a: { type: 'number' }, b: {} }, required: ['a'] },
      sample: { a: 1 },
    },
    {
      name: 'all properties where none is required',
      schema: { properties: { a: {}, b: {} } },
      sample: { a: 'sample', b: 'sample' },
    },
  ])('makes a sample that fits $name', ({ schema, sample }) => {
    expect(sampleOfSchema(schema)).toEqual(sample);
  });

  it('ends a sample though its schema does not end', () => {
    const endless: { type: string; items?: unknown } = { type: 'array' };
    endless.items = endless;
    expect(JSON.stringify(sampleOfSchema(endless))).toMatch(/^\[+\]+$/);
    const choices: { anyOf: unknown[] } = { anyOf: [] };
    choices.anyOf.push(choices);
    expect(sampleOfSchema(choices)).toBeNull();
    const names = Array.from({ length: 50 }, (_, index) => `p${index}`);
    const bush = { properties: Object.fromEntries(names.map((name) => [name, { $ref: '#' }])) };
    expect(JSON.stringify(sampleOfSchema(bush)).length).toBeLessThan(50_000);
  });
});
