import { describe, expect, it } from 'vitest';
import { MetricLabels } from '../../src/telemetry/metric-labels.ts';
import { aFinishedRecord, aKeyPrincipal } from '../helpers/finished-record.ts';

const ofModel = (model: string, status = 200) => aFinishedRecord({ model, status });
const ofKey = (label: string) => aFinishedRecord({ principal: aKeyPrincipal({ label }) });

describe('labels', () => {
  it('labels by service, operation, model and key, with the same object for the same ones', () => {
    const labels = new MetricLabels();
    const found = labels.find(aFinishedRecord());
    expect(found).toEqual({
      service: 'bedrock-runtime',
      operation: 'Converse',
      model: 'amazon.nova-lite-v1:0',
      key: 'alice',
    });
    expect(labels.find(aFinishedRecord())).toBe(found);
  });

  it('labels the first hundred models; later ones are other', () => {
    const labels = new MetricLabels();
    const found = Array.from({ length: 150 }, (_, at) => labels.find(ofModel(`model-${at}`)).model);
    expect([found[0], found[99], found[100], found[149]]).toEqual(['model-0', 'model-99', 'other', 'other']);
    expect(labels.find(ofModel('model-3')).model).toBe('model-3');
  });

  it('labels no model of which no request ever went well: anybody can make names up', () => {
    const labels = new MetricLabels();
    expect(labels.find(ofModel('m', 400)).model).toBe('other');
    expect(labels.find(ofModel('m', 200)).model).toBe('m');
    expect(labels.find(ofModel('m', 429)).model).toBe('m');
  });

  it('has few series for 10,000 models and paths that nobody made, whatever AWS says of them', () => {
    const labels = new MetricLabels();
    const series = new Set(
      Array.from({ length: 10_000 }, (_, serial) =>
        labels.find(ofModel(`junk.model-${serial}`, serial % 2 === 0 ? 404 : 200)),
      ),
    );
    expect(series.size).toBeLessThanOrEqual(101);
  });

  it('labels two hundred keys', () => {
    const labels = new MetricLabels();
    const found = Array.from({ length: 250 }, (_, at) => labels.find(ofKey(`key-${at}`)).key);
    expect(new Set(found).size).toBe(201);
    expect(found.at(-1)).toBe('other');
  });

  it('labels two thousand combinations, and one more for each operation', () => {
    const labels = new MetricLabels();
    const found = new Set<object>();
    for (let model = 0; model < 100; model += 1) {
      for (let key = 0; key < 30; key += 1) {
        const principal = aKeyPrincipal({ label: `key-${key}` });
        found.add(labels.find(aFinishedRecord({ model: `model-${model}`, principal })));
      }
    }
    expect(found.size).toBe(2_001);
    expect([...found].at(-1)).toMatchObject({ operation: 'Converse', model: 'other', key: 'other' });
  });

  it('labels a hundred types of errors', () => {
    const labels = new MetricLabels();
    const found = Array.from({ length: 150 }, (_, at) => labels.findErrorType(`Type${at}`));
    expect(new Set(found).size).toBe(101);
  });
});
