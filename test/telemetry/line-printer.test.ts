import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LinePrinter, type ScreenSize } from '../../src/telemetry/line-printer.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

const keep = (text: string): string => text;
const paint = { dim: keep, good: keep, warn: keep, bad: keep, strong: keep };
const NOON = Date.UTC(2026, 6, 1, 12);
const HEAD = /^UTC +KEY +OPERATION +MODEL/;

function openPrinter(size: { now: ScreenSize | undefined }): LinePrinter {
  return new LinePrinter(
    paint,
    () => size.now,
    () => NOON,
  );
}

describe('the lines of requests on a terminal', () => {
  it('are in UTC wherever the machine is, as all times that commands print', () => {
    vi.stubEnv('TZ', 'Asia/Tokyo');
    onTestFinished(() => void vi.unstubAllEnvs());
    const printer = openPrinter({ now: { columns: 80, rows: 24 } });
    const [head, line] = printer.print(aLedgerRow({ startedAtMs: NOON }));
    expect(head).toMatch(HEAD);
    expect(line).toMatch(/^12:00:00 /);
  });

  it('have titles over their columns, once a screen', () => {
    const printer = openPrinter({ now: { columns: 80, rows: 24 } });
    const lines = Array.from({ length: 50 }, () => printer.print(aLedgerRow({ startedAtMs: NOON }))).flat();
    expect(lines.flatMap((line, index) => (HEAD.test(line) ? [index] : []))).toEqual([0, 23, 46]);
    expect(lines).toHaveLength(53);
  });

  it('are laid out anew when the terminal changes its width', () => {
    const size = { now: { columns: 80, rows: 24 } };
    const printer = openPrinter(size);
    printer.print(aLedgerRow({ startedAtMs: NOON }));
    expect(printer.print(aLedgerRow({ startedAtMs: NOON }))).toHaveLength(1);
    size.now = { columns: 200, rows: 24 };
    const [head, line] = printer.print(aLedgerRow({ startedAtMs: NOON }));
    expect(head).toMatch(/ REGION +FIRST +TOTAL +IN>OUT +COST$/);
    expect(line).toContain('us-east-1');
  });

  it('say the day, and the zone of their times, when it is not the one before', () => {
    const printer = openPrinter({ now: { columns: 80, rows: 24 } });
    const at = (day: number): string[] => printer.print(aLedgerRow({ startedAtMs: Date.UTC(2026, 5, day, 23, 5) }));
    const first = at(29);
    expect(first[0]).toBe('-- 2026-06-29 UTC --');
    expect(first[1]).toMatch(HEAD);
    expect(first[2]).toMatch(/^23:05:00 /);
    expect(at(29)).toHaveLength(1);
    expect(at(30)[0]).toContain('2026-06-30');
    expect(openPrinter({ now: { columns: 80, rows: 24 } }).print(aLedgerRow({ startedAtMs: NOON }))).toHaveLength(2);
  });
});

it('has neither titles nor days where no terminal reads it, and the whole time in each line', () => {
  const printer = openPrinter({ now: undefined });
  const lines = [NOON - 86_400_000, NOON].map((startedAtMs) => printer.print(aLedgerRow({ startedAtMs })));
  expect(lines.map(([line]) => line?.slice(0, 24))).toEqual(
    [NOON - 86_400_000, NOON].map((time) => new Date(time).toISOString()),
  );
  expect(lines.flat()).toHaveLength(2);
});
